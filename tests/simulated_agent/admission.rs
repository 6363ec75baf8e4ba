//! Who may speak to the agents' service, and in which version.

use crate::harness::Cluster;
use crate::host::{Host, identity, room_for};
use hearth_mtls::{Authority, ClientIdentity, MtlsError, PeerName, Terms, agents_channel, enrolment_channel};
use hearth_proto::v1;
use hearth_proto::v1::agents_client::AgentsClient;
use hearth_proto::v1::to_agent::Message;
use std::time::SystemTime;
use tonic::Code;
use tonic::transport::Channel;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_version_is_refused_with_the_reason() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.hello(&cluster, 99, vec![]).await;
    let reason = stream.hear("refused", |heard| match heard.messages.first()? {
        Message::Refused(refused) => Some(refused.reason.clone()),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        reason.await,
        "agent speaks protocol 99 and the coordinator 1; install the same version on both"
    );
    stream.hear("the end", |heard| heard.end.as_ref().map(|_| ())).await;
    assert_eq!(cluster.world().agents().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_answered_with_what_they_carried() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let welcome = stream.welcome().await;
    assert_eq!((welcome.agent_id.as_str(), welcome.region.as_str()), (host.id.as_str(), "us-east-1"));
    assert_eq!(welcome.service_endpoint, format!("http://{}", cluster.coordinator().endpoint));
    assert!(welcome.heartbeat_ms > 0 && welcome.heartbeat_ms * 2 < welcome.lease_ms);
    let answer = stream.beats().await;
    assert_eq!((answer.sequence, answer.sent_boottime_ns), (7, 77));
}

/// How a call ends for a client that reached the service at all.
async fn call(channel: Result<Channel, MtlsError>) -> Option<Code> {
    let request = v1::WorkerCredentialsRequest { worker_id: "nobody".to_owned() };
    let status =
        AgentsClient::new(channel.ok()?).worker_credentials(request).await.expect_err("no such worker");
    Some(status.code())
}

async fn dial(cluster: &Cluster, identity: &ClientIdentity) -> Option<Code> {
    call(agents_channel(&cluster.agents(), identity).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_agents_certificate_of_this_cluster_opens_the_agents_service() {
    let cluster = Cluster::start().await;
    let ours = cluster.authority();
    let theirs = Authority::create("hearth", SystemTime::now()).expect("an authority");
    let agent = PeerName::Agent("a-1".parse().expect("an id"));
    let worker = PeerName::Worker {
        application: "00f1".parse().expect("an id"),
        job_run: "00f2".parse().expect("an id"),
        worker: "w-1".parse().expect("an id"),
    };
    let issue =
        |by: &Authority, name: &PeerName| by.issue(name, &[], Terms::from_now()).expect("a certificate");
    let good = issue(&ours, &agent);
    // The call itself is in order: an agent gets as far as being told that there is no such worker.
    assert_eq!(dial(&cluster, &identity(&good, &good)).await, Some(Code::NotFound));
    for bad in [issue(&theirs, &agent), issue(&ours, &worker), issue(&ours, &PeerName::Coordinator)] {
        assert_ne!(dial(&cluster, &identity(&bad, &good)).await, Some(Code::NotFound));
    }
    let expired = Terms {
        now: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000),
        ..Terms::from_now()
    };
    let expired = ours.issue(&agent, &[], expired).expect("a certificate");
    assert_ne!(dial(&cluster, &identity(&expired, &good)).await, Some(Code::NotFound));
    let nothing_shown = enrolment_channel(&cluster.agents(), ours.fingerprint()).await;
    assert_ne!(call(nothing_shown).await, Some(Code::NotFound));
}
