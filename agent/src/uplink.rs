//! Calls to the coordinator beside the ordered stream: credentials, certificates, bundles. They travel on a connection of
//! their own, so that bulk never delays a heartbeat.

use async_trait::async_trait;
use futures::TryStreamExt;
use hearth_bundles::BundleId;
use hearth_credentials::{Credentials, Refresh, RefreshError};
use hearth_proto::v1::agents_client::AgentsClient;
use hearth_proto::v1::{self};
use hearth_types::{JobRunId, WorkerId};
use std::io;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

/// How long an answer to a small call may take, waiting for a connection included.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// How long the coordinator may be away before fetching a bundle fails and is tried anew.
const CONNECTED_WITHIN: Duration = Duration::from_secs(60);

/// The way to the coordinator, when there is one. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Uplink(watch::Receiver<Option<AgentsClient<Channel>>>);

/// Sets the way to the coordinator; held by the session.
#[derive(Debug)]
pub(crate) struct UplinkSetter(watch::Sender<Option<AgentsClient<Channel>>>);

/// Makes both ends.
pub(crate) fn uplink() -> (UplinkSetter, Uplink) {
    let (sender, receiver) = watch::channel(None);
    (UplinkSetter(sender), Uplink(receiver))
}

impl UplinkSetter {
    /// Sends calls over `channel` from now on; over none while disconnected.
    pub(crate) fn set(&self, channel: Option<Channel>) {
        self.0.send_replace(channel.map(AgentsClient::new));
    }
}

impl Uplink {
    /// Waits until the coordinator is in touch. Cancel safe.
    pub(crate) async fn connected(&self) {
        // The setter is gone only when the agent is stopping, and whoever waits here with it.
        if self.0.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn client(&self) -> Result<AgentsClient<Channel>, Status> {
        let mut watched = self.0.clone();
        let client = watched.wait_for(Option::is_some).await;
        let client = client.map_err(|_| Status::unavailable("the agent is stopping"))?;
        client.clone().ok_or_else(|| Status::unavailable("the coordinator is away"))
    }

    /// Fetches temporary credentials of a worker's role.
    pub(crate) async fn worker_credentials(&self, worker: &WorkerId) -> Result<v1::Credentials, Status> {
        let request = v1::WorkerCredentialsRequest { worker_id: worker.to_string() };
        within(CALL_WITHIN, async {
            Ok(self.client().await?.worker_credentials(request).await?.into_inner())
        })
        .await
    }

    /// Fetches temporary credentials of managed storage for a job run.
    pub(crate) async fn managed_credentials(&self, job_run: &JobRunId) -> Result<v1::Credentials, Status> {
        let request = v1::ManagedCredentialsRequest { job_run_id: job_run.to_string() };
        within(CALL_WITHIN, async {
            Ok(self.client().await?.managed_credentials(request).await?.into_inner())
        })
        .await
    }

    /// Has a new certificate signed; request and answer are DER.
    pub(crate) async fn renew_certificate(&self, csr_der: Vec<u8>) -> Result<Vec<u8>, Status> {
        let request = v1::RenewCertificateRequest { csr_der };
        let renewed = within(CALL_WITHIN, async {
            Ok(self.client().await?.renew_certificate(request).await?.into_inner())
        });
        Ok(renewed.await?.certificate_der)
    }

    /// Begins to fetch a bundle's archive.
    pub(crate) async fn fetch_bundle(&self, id: BundleId) -> io::Result<impl AsyncRead + Send + use<>> {
        let request = v1::FetchBundleRequest { sha256: id.to_string() };
        let stream = within(CONNECTED_WITHIN, async {
            Ok(self.client().await?.fetch_bundle(request).await?.into_inner())
        });
        let chunks = stream.await.map_err(io::Error::other)?.map_ok(|chunk| io::Cursor::new(chunk.data));
        Ok(StreamReader::new(chunks.map_err(io::Error::other)))
    }

    /// Begins to wait for requests to UIs; waits for a connection, too.
    pub(crate) async fn ui_requests(&self) -> Result<Streaming<v1::UiRequest>, Status> {
        self.connected().await;
        let request = v1::AwaitUiRequestsRequest {};
        within(CALL_WITHIN, async { Ok(self.client().await?.await_ui_requests(request).await?.into_inner()) })
            .await
    }

    /// Brings the answer of a UI, whose parts have bounds in time of their own.
    pub(crate) async fn answer_ui_request(&self, parts: mpsc::Receiver<v1::UiAnswer>) -> Result<(), Status> {
        let mut client = within(CALL_WITHIN, self.client()).await?;
        client.answer_ui_request(ReceiverStream::new(parts)).await.map(|_| ())
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    match timeout(limit, call).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::new(Code::DeadlineExceeded, format!("no answer within {limit:?}"))),
    }
}

#[async_trait]
impl Refresh for Uplink {
    async fn refresh(&self, worker: &WorkerId) -> Result<Credentials, RefreshError> {
        match self.worker_credentials(worker).await {
            Ok(credentials) => Ok(crate::spec::credentials_of(credentials)),
            Err(status) => Err(RefreshError(Box::new(status))),
        }
    }
}
