//! Who gets in and who does not, over real sockets.

#![allow(clippy::unwrap_used)]

use hearth_mtls::{
    Admission, Authority, ClientIdentity, Connection, Credential, LiveCredential, MtlsStream, PeerName,
    Refusal, Terms, accept, agents_channel, agents_server_config, enrolment_channel, enrolment_server_config,
};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

fn authority() -> Authority {
    Authority::create("home", SystemTime::now()).unwrap()
}

fn agent() -> PeerName {
    PeerName::Agent("h1".parse().unwrap())
}

fn worker() -> PeerName {
    PeerName::Worker {
        application: "a".parse().unwrap(),
        job_run: "j".parse().unwrap(),
        worker: "w".parse().unwrap(),
    }
}

fn identity(trusted: &Authority, credential: &Credential) -> ClientIdentity {
    ClientIdentity::new(trusted.certificate(), "home", LiveCredential::new(credential).unwrap()).unwrap()
}

async fn connection(listener: &TcpListener) -> Connection {
    let (stream, address) = listener.accept().await.unwrap();
    Connection { stream, address, number: 1 }
}

/// Serves one connection with the authority's coordinator certificate.
async fn serve(authority: &Authority) -> (String, tokio::task::JoinHandle<Result<MtlsStream, Refusal>>) {
    serve_as(authority, &PeerName::Coordinator).await
}

async fn serve_as(
    authority: &Authority,
    name: &PeerName,
) -> (String, tokio::task::JoinHandle<Result<MtlsStream, Refusal>>) {
    let credential = LiveCredential::new(&authority.issue(name, &[], Terms::from_now()).unwrap()).unwrap();
    let config = agents_server_config(authority.certificate(), credential).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served =
        tokio::spawn(
            async move { accept(connection(&listener).await, config, Admission::Agents, "home").await },
        );
    (address, served)
}

#[tokio::test]
async fn an_agent_gets_in_under_its_name() {
    let authority = authority();
    let (address, served) = serve(&authority).await;
    let credential = authority.issue(&agent(), &[], Terms::from_now()).unwrap();
    let _channel = agents_channel(&address, &identity(&authority, &credential)).await.unwrap();
    assert_eq!(served.await.unwrap().unwrap().peer().name, Some(agent()));
}

#[tokio::test]
async fn a_renewed_certificate_is_used_by_the_next_connection() {
    let authority = authority();
    let first = authority.issue(&agent(), &[], Terms::from_now()).unwrap();
    let second = authority.issue(&agent(), &[], Terms::from_now()).unwrap();
    let live = LiveCredential::new(&first).unwrap();
    let identity = ClientIdentity::new(authority.certificate(), "home", live.clone()).unwrap();
    for current in [&first, &second] {
        live.replace(current).unwrap();
        let (address, served) = serve(&authority).await;
        let _channel = agents_channel(&address, &identity).await.unwrap();
        let stream = served.await.unwrap().unwrap();
        assert_eq!(stream.peer().certificate.as_ref(), Some(current.certificate()));
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let authority = authority();
    let (address, served) = serve(&authority).await;
    let _connected = enrolment_channel(&address, authority.fingerprint()).await;
    assert!(matches!(served.await.unwrap(), Err(Refusal::NoCertificate)));
}

#[tokio::test]
async fn a_foreign_authoritys_agent_is_refused() {
    let (ours, theirs) = (authority(), authority());
    let (address, served) = serve(&ours).await;
    let credential = theirs.issue(&agent(), &[], Terms::from_now()).unwrap();
    let _connected = agents_channel(&address, &identity(&ours, &credential)).await;
    let refusal = served.await.unwrap().unwrap_err();
    assert!(matches!(refusal, Refusal::ForeignAuthority), "{refusal:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = authority();
    let (address, served) = serve(&authority).await;
    let past =
        Terms { now: SystemTime::now() - Duration::from_secs(7200), lifetime: Duration::from_secs(3600) };
    let credential = authority.issue(&agent(), &[], past).unwrap();
    let _connected = agents_channel(&address, &identity(&authority, &credential)).await;
    let refusal = served.await.unwrap().unwrap_err();
    assert!(matches!(refusal, Refusal::Expired), "{refusal:?}");
}

#[tokio::test]
async fn a_worker_is_refused_on_the_agents_service() {
    let authority = authority();
    let (address, served) = serve(&authority).await;
    let credential = authority.issue(&worker(), &[], Terms::from_now()).unwrap();
    let _connected = agents_channel(&address, &identity(&authority, &credential)).await;
    let refusal = served.await.unwrap().unwrap_err();
    assert!(matches!(&refusal, Refusal::NotAdmitted(name) if *name == worker()), "{refusal:?}");
}

#[tokio::test]
async fn an_older_tls_is_refused() {
    let authority = authority();
    let (address, served) = serve(&authority).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let name = hearth_mtls::COORDINATOR_HOST.try_into().unwrap();
    assert!(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_err());
    assert!(matches!(served.await.unwrap(), Err(Refusal::Handshake(_))));
}

#[tokio::test]
async fn an_agent_cannot_stand_in_for_the_coordinator() {
    let authority = authority();
    let (address, _served) = serve_as(&authority, &agent()).await;
    let credential = authority.issue(&agent(), &[], Terms::from_now()).unwrap();
    assert!(agents_channel(&address, &identity(&authority, &credential)).await.is_err());
}

#[tokio::test]
async fn a_foreign_coordinator_is_refused_by_agents() {
    let (ours, theirs) = (authority(), authority());
    let (address, _served) = serve(&theirs).await;
    let credential = ours.issue(&agent(), &[], Terms::from_now()).unwrap();
    assert!(agents_channel(&address, &identity(&ours, &credential)).await.is_err());
}

/// Serves one enrolment connection and answers how many bytes of application data arrived on it.
async fn enrolment(authority: &Authority) -> (String, tokio::task::JoinHandle<Result<usize, Refusal>>) {
    let issued =
        authority.issue(&PeerName::Coordinator, &["localhost".to_owned()], Terms::from_now()).unwrap();
    let config = enrolment_server_config(LiveCredential::new(&issued).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = tokio::spawn(async move {
        let mut stream = accept(connection(&listener).await, config, Admission::Anybody, "home").await?;
        Ok(stream.read(&mut [0; 64]).await.unwrap_or(0))
    });
    (address, served)
}

#[tokio::test]
async fn enrolment_trusts_the_authority_with_the_fingerprint() {
    let authority = authority();
    let (address, served) = enrolment(&authority).await;
    enrolment_channel(&address, authority.fingerprint()).await.unwrap();
    assert!(served.await.unwrap().unwrap() > 0);
}

#[tokio::test]
async fn enrolment_sends_nothing_to_another_authority() {
    let (ours, theirs) = (authority(), authority());
    let (address, served) = enrolment(&theirs).await;
    assert!(enrolment_channel(&address, ours.fingerprint()).await.is_err());
    match served.await.unwrap() {
        Ok(bytes) => assert_eq!(bytes, 0),
        Err(refusal) => assert!(matches!(refusal, Refusal::Handshake(_)), "{refusal:?}"),
    }
}
