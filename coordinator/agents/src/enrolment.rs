//! Enrolment: trades a single-use join token for a certificate (design §6.1).

use hearth_engine::{fresh_agent_id, now};
use hearth_faults::{Point, reach};
use hearth_mtls::{Authority, Fingerprint, PeerName, Terms};
use hearth_proto::v1;
use hearth_proto::v1::enrolment_server::Enrolment;
use hearth_store::{Enrolled, JoinToken, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// The enrolment service.
#[derive(Debug)]
pub struct EnrolmentService {
    /// Where tokens are kept.
    pub store: Store,
    /// Who signs.
    pub authority: Arc<Authority>,
    /// `host:port` of the agents' service, told to who enrols.
    pub agents_endpoint: String,
    /// How long the certificates live.
    pub certificate_lifetime: Duration,
}

/// Makes a join token, valid for so long, and records its hash. The token itself is kept nowhere.
pub async fn new_join_token(store: &Store, valid_for: Duration) -> Result<String, StoreError> {
    let token = format!("hearth-{}", hex::encode(rand::random::<[u8; 24]>()));
    let hash = Fingerprint::of(token.as_bytes()).to_string();
    store.issue_join_token(JoinToken { hash, expires_at: now().plus(valid_for) }).await?;
    Ok(token)
}

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        let request = request.into_inner();
        // The request is signed before the token is consumed: a malformed one must not use the token up.
        let agent = fresh_agent_id();
        self.sign(&request, &agent)?;
        let enrolled = Enrolled {
            hash: Fingerprint::of(request.token.as_bytes()).to_string(),
            public_key: public_key(&request.csr_der)?.to_string(),
            agent,
            at: now(),
        };
        let agent = self
            .store
            .enrol(enrolled)
            .await
            .map_err(|error| {
                tracing::error!(error = %error, "recording an enrolment");
                Status::unavailable("the enrolment could not be recorded; try again")
            })?
            .map_err(|refused| {
                tracing::warn!(host_name = request.host_name, reason = %refused, "enrolment refused");
                Status::permission_denied(refused.to_string())
            })?;
        reach(Point::EnrolmentRecorded);
        tracing::info!(agent_id = %agent, host_name = request.host_name, "agent enrolled");
        Ok(Response::new(v1::EnrolResponse {
            certificate_der: self.sign(&request, &agent)?,
            agent_id: agent.to_string(),
            cluster: self.authority.cluster().to_owned(),
            ca_der: self.authority.certificate().to_vec(),
            agents_endpoint: self.agents_endpoint.clone(),
        }))
    }
}

impl EnrolmentService {
    fn sign(&self, request: &v1::EnrolRequest, agent: &hearth_types::AgentId) -> Result<Vec<u8>, Status> {
        self.authority
            .sign_request(
                &request.csr_der,
                &PeerName::Agent(agent.clone()),
                Terms::lasting(self.certificate_lifetime),
            )
            .map(|certificate| certificate.to_vec())
            .map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// The key of a signing request. Two requests of one key differ, for each is signed anew.
fn public_key(csr_der: &[u8]) -> Result<Fingerprint, Status> {
    let (_, request) = X509CertificationRequest::from_der(csr_der)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(Fingerprint::of(request.certification_request_info.subject_pki.raw))
}
