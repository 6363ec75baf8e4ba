//! A host that enrols and dials, with what it claims to offer.

use crate::harness::{Cluster, Job, Submission};
use crate::stream::Stream;
use crate::worker::Worker;
use hearth_mtls::{
    ClientIdentity, Credential, Fingerprint, LiveCredential, PendingKey, agents_channel, enrolment_channel,
};
use hearth_proto::v1;
use hearth_proto::v1::agents_client::AgentsClient;
use hearth_proto::v1::enrolment_client::EnrolmentClient;
use hearth_types::AgentId;
use std::time::Duration;
use tonic::Status;
use tonic::transport::Channel;

/// A host with an enrolled agent.
pub(crate) struct Host {
    pub(crate) id: AgentId,
    pub(crate) inventory: v1::Inventory,
    identity: ClientIdentity,
}

/// A host with room for this many workers of one core, and for nothing else.
pub(crate) fn room_for(workers: u64) -> v1::WorkerSize {
    v1::WorkerSize { cpu_millis: 1000 * workers, memory_mib: 2048 * workers, disk_gib: 20 * workers }
}

impl Host {
    /// Enrols with a fresh join token.
    pub(crate) async fn enrol(cluster: &Cluster, offered: v1::WorkerSize) -> Self {
        let token = join_token(cluster).await;
        let key = PendingKey::generate().expect("a key");
        let answer = enrol(cluster, &token, &key).await.expect("enrolled");
        assert_eq!(answer.agents_endpoint, cluster.agents());
        let id = answer.agent_id.parse().expect("an agent's id");
        let credential = key.certified(answer.certificate_der, answer.ca_der).expect("its own certificate");
        let identity = identity(&credential, &credential);
        Self { id, inventory: inventory(offered), identity }
    }

    /// Opens the stream and waits for the welcome.
    pub(crate) async fn attach(&self, cluster: &Cluster, workers: Vec<v1::WorkerReport>) -> Stream {
        let stream = self.hello(cluster, hearth_proto::PROTOCOL, workers).await;
        stream.welcome().await;
        // What it was told about its workers is decided now.
        stream.settled().await;
        stream
    }

    /// Opens the stream, whatever comes of it.
    pub(crate) async fn hello(
        &self,
        cluster: &Cluster,
        protocol: u32,
        workers: Vec<v1::WorkerReport>,
    ) -> Stream {
        Stream::open(self.client(cluster).await, self.greeting(protocol, workers)).await
    }

    /// What it says first on a stream.
    pub(crate) fn greeting(&self, protocol: u32, workers: Vec<v1::WorkerReport>) -> v1::Hello {
        v1::Hello {
            protocol,
            version: "simulated".to_owned(),
            inventory: Some(self.inventory.clone()),
            workers,
        }
    }

    /// For calls beside the stream, on a connection of their own.
    pub(crate) async fn client(&self, cluster: &Cluster) -> AgentsClient<Channel> {
        AgentsClient::new(agents_channel(&cluster.agents(), &self.identity).await.expect("a connection"))
    }
}

/// A host with room for one worker, which is the driver of a job run without executors.
pub(crate) struct Running {
    pub(crate) host: Host,
    pub(crate) stream: Stream,
    pub(crate) job: Job,
    pub(crate) driver: Worker,
}

impl Running {
    /// Once the coordinator knows that the driver runs.
    pub(crate) async fn on(cluster: &Cluster) -> Self {
        let host = Host::enrol(cluster, room_for(1)).await;
        let stream = host.attach(cluster, vec![]).await;
        let job = cluster.submit(&Submission::of_executors(0)).await;
        let driver = stream.driver(&job).await;
        stream.say(driver.runs()).await;
        stream.settled().await;
        Self { host, stream, job, driver }
    }
}

/// What an agent dials with: it shows `credential` and trusts the authority of `trusting`.
pub(crate) fn identity(credential: &Credential, trusting: &Credential) -> ClientIdentity {
    let live = LiveCredential::new(credential).expect("key and certificate belong together");
    ClientIdentity::new(trusting.authority(), "hearth", live).expect("an identity")
}

/// A join token that is good for a minute.
pub(crate) async fn join_token(cluster: &Cluster) -> String {
    let store = &cluster.coordinator().store;
    hearth_agents::new_join_token(store, Duration::from_secs(60)).await.expect("a token")
}

/// Asks for a certificate. Each call makes and signs a request of its own.
pub(crate) async fn enrol(
    cluster: &Cluster,
    token: &str,
    key: &PendingKey,
) -> Result<v1::EnrolResponse, Status> {
    enrol_with(cluster, token, key.request().expect("a request")).await
}

/// Asks for a certificate with a given request.
pub(crate) async fn enrol_with(
    cluster: &Cluster,
    token: &str,
    csr_der: Vec<u8>,
) -> Result<v1::EnrolResponse, Status> {
    let fingerprint: Fingerprint = cluster.coordinator().ca_fingerprint.parse().expect("a fingerprint");
    let address = cluster.coordinator().enrolment.to_string();
    let channel = enrolment_channel(&address, fingerprint).await.expect("the coordinator answers");
    let request = v1::EnrolRequest { token: token.to_owned(), csr_der, host_name: "simulated".to_owned() };
    EnrolmentClient::new(channel).enrol(request).await.map(tonic::Response::into_inner)
}

fn inventory(offered: v1::WorkerSize) -> v1::Inventory {
    v1::Inventory {
        host_name: "simulated".to_owned(),
        boot_id: "simulated".to_owned(),
        architecture: "X86_64".to_owned(),
        real: Some(offered),
        offered: Some(offered),
        java: vec![v1::JavaHome { major: 17, path: "/usr/lib/jvm/17".to_owned(), version: "17".to_owned() }],
        worker_address: "127.0.0.1".to_owned(),
        ..v1::Inventory::default()
    }
}
