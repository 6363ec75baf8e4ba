//! Enrolment through the program itself.

#![allow(clippy::unwrap_used)]

use hearth_mtls::{
    Admission, Authority, Credential, Fingerprint, LiveCredential, MtlsListener, PeerName, Terms,
    enrolment_server_config,
};
use hearth_proto::v1;
use hearth_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

#[derive(Clone)]
struct Enroller {
    authority: Arc<Authority>,
    tokens: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl Enrolment for Enroller {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        let request = request.into_inner();
        self.tokens.lock().unwrap().push(request.token.clone());
        if request.token != "good" {
            return Err(Status::permission_denied("the token is not valid"));
        }
        let name = PeerName::Agent("h1".parse().unwrap());
        let signed = self.authority.sign_request(&request.csr_der, &name, Terms::from_now()).unwrap();
        Ok(Response::new(v1::EnrolResponse {
            agent_id: "h1".into(),
            cluster: "home".into(),
            certificate_der: signed.to_vec(),
            ca_der: self.authority.certificate().to_vec(),
            agents_endpoint: "127.0.0.1:9".into(),
        }))
    }
}

async fn coordinator() -> (String, Enroller) {
    hearth_mtls::install_provider();
    let authority = Arc::new(Authority::create("home", SystemTime::now()).unwrap());
    let credential = authority.issue(&PeerName::Coordinator, &[], Terms::from_now()).unwrap();
    let config = enrolment_server_config(LiveCredential::new(&credential).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = MtlsListener::new(listener, config, Admission::Anybody, "home").unwrap();
    let enroller = Enroller { authority, tokens: Arc::default() };
    let server = EnrolmentServer::new(enroller.clone());
    tokio::spawn(tonic::transport::Server::builder().add_service(server).serve_with_incoming(incoming));
    (address, enroller)
}

async fn join(address: &str, token: &str, fingerprint: &Fingerprint, state: &Path) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_hearth-agent"))
        .args(["join", "--coordinator", address, "--token", token])
        .args(["--ca-fingerprint", &fingerprint.to_string()])
        .arg("--state-dir")
        .arg(state)
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_host_joins_once_and_holds_its_certificate() {
    let (address, enroller) = coordinator().await;
    let state = tempfile::tempdir().unwrap();
    let fingerprint = enroller.authority.fingerprint();
    let joined = join(&address, "good", &fingerprint, state.path()).await;
    assert!(joined.status.success(), "{joined:?}");
    let credential = Credential::load(&state.path().join("identity.pem")).unwrap();
    let name = PeerName::of_certificate(credential.certificate(), &credential.cluster().unwrap());
    assert_eq!(name.unwrap(), PeerName::Agent("h1".parse().unwrap()));
    let again = join(&address, "good", &fingerprint, state.path()).await;
    assert!(!again.status.success());
    assert_eq!(enroller.tokens.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_coordinator_of_another_authority_never_sees_the_token() {
    let (address, enroller) = coordinator().await;
    let state = tempfile::tempdir().unwrap();
    let refused = join(&address, "good", &Fingerprint::of(b"another"), state.path()).await;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the token was not sent"), "{refused:?}");
    assert!(enroller.tokens.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_bad_token_is_refused_with_the_reason() {
    let (address, enroller) = coordinator().await;
    let state = tempfile::tempdir().unwrap();
    let refused = join(&address, "bad", &enroller.authority.fingerprint(), state.path()).await;
    assert!(!refused.status.success() && !state.path().join("identity.pem").exists());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the token is not valid"), "{refused:?}");
}
