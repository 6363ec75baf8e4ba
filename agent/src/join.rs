//! Enrolling this host: a token and a certificate request for a certificate (design §6.1).

use crate::identity;
use anyhow::Context as _;
use hearth_faults::{Point, reach};
use hearth_mtls::{Fingerprint, PeerName, PendingKey, enrolment_channel};
use hearth_proto::v1;
use hearth_proto::v1::enrolment_client::EnrolmentClient;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tries at asking; the same token with the same key may be repeated when an answer was lost.
const TRIES: u32 = 3;
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Arguments of `hearth-agent join`.
#[derive(Debug, clap::Args)]
pub(crate) struct Join {
    /// The coordinator's enrolment service
    #[arg(long, value_name = "HOST:PORT")]
    coordinator: String,
    /// Single-use token printed by `hearth agent join-token`
    #[arg(long, env = "HEARTH_JOIN_TOKEN", hide_env_values = true)]
    token: String,
    /// SHA-256 of the cluster's CA certificate, printed with the token
    #[arg(long, value_name = "SHA256")]
    ca_fingerprint: String,
    /// Where the agent keeps its state
    #[arg(long, value_name = "DIR", default_value = "/var/lib/hearth/agent")]
    state_dir: PathBuf,
}

/// Enrols, and keeps the certificate in the state directory.
pub(crate) async fn join(arguments: Join) -> anyhow::Result<()> {
    let fingerprint: Fingerprint = arguments.ca_fingerprint.parse()?;
    let path = identity::path(&arguments.state_dir);
    anyhow::ensure!(
        !path.exists(),
        "this host has joined already ({} exists); remove that file to join anew",
        path.display()
    );
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&arguments.state_dir)
        .with_context(|| format!("making {}", arguments.state_dir.display()))?;
    let key = PendingKey::generate()?;
    let request =
        v1::EnrolRequest { token: arguments.token, csr_der: key.request()?, host_name: host_name() };
    let answer = ask(&arguments.coordinator, fingerprint, &request).await?;
    // The authority is the one whose fingerprint was checked, or what it signed is worth nothing.
    anyhow::ensure!(
        Fingerprint::of(&answer.ca_der) == fingerprint,
        "the coordinator answered with another CA"
    );
    let credential = key.certified(answer.certificate_der, answer.ca_der)?;
    let name = PeerName::of_certificate(credential.certificate(), &answer.cluster)?;
    anyhow::ensure!(matches!(name, PeerName::Agent(_)), "the coordinator signed a certificate for {name}");
    credential.save(&path)?;
    reach(Point::AgentJoined);
    report(&answer.cluster, &name, &answer.agents_endpoint, &path);
    Ok(())
}

async fn ask(
    address: &str,
    fingerprint: Fingerprint,
    request: &v1::EnrolRequest,
) -> anyhow::Result<v1::EnrolResponse> {
    let mut tries = 0;
    loop {
        tries += 1;
        let channel = enrolment_channel(address, fingerprint).await.with_context(|| {
            format!("no coordinator with this CA fingerprint answers at {address}; the token was not sent")
        })?;
        let mut client = EnrolmentClient::new(channel);
        let answer = tokio::time::timeout(ANSWER_WITHIN, client.enrol(request.clone())).await;
        match answer {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) if status.code() != tonic::Code::Unavailable || tries == TRIES => {
                anyhow::bail!("the coordinator refused: {}", status.message());
            }
            Err(_) if tries == TRIES => anyhow::bail!("the coordinator gave no answer"),
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

#[expect(clippy::print_stdout, reason = "a person ran this command")]
fn report(cluster: &str, name: &PeerName, endpoint: &str, path: &Path) {
    println!("joined cluster {cluster} as {name}; certificate in {}", path.display());
    println!(
        "configure the agent with: coordinators = [\"{endpoint}\"], and with worker_address, at which other hosts reach \
         this one"
    );
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
