//! The endpoint's TLS over real sockets: which certificate who is shown, and who is believed.

#![allow(clippy::unwrap_used)]

use hearth_mtls::{
    Admission, Authority, EndpointDialer, LiveCredential, MtlsListener, PeerName, SiteCertificate, Terms,
    endpoint_server_config,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, ServerName};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

fn authority() -> Authority {
    Authority::create("home", SystemTime::now()).unwrap()
}

fn dialer(authority: &Authority) -> EndpointDialer {
    EndpointDialer::new(authority.certificate(), "home").unwrap()
}

/// Serves with `authority`'s certificate, good for `localhost`, and the site's if there is one; answers each
/// connection's first four bytes with themselves.
async fn serve(authority: &Authority, site: Option<Arc<SiteCertificate>>) -> String {
    let issued =
        authority.issue(&PeerName::Coordinator, &["localhost".to_owned()], Terms::from_now()).unwrap();
    let config = endpoint_server_config(LiveCredential::new(&issued).unwrap(), site).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut listener = MtlsListener::new(listener, config, Admission::Anybody, "home").unwrap();
    let address = listener.local_addr().to_string();
    tokio::spawn(async move {
        loop {
            let mut stream = listener.accept().await;
            let mut word = [0; 4];
            if stream.read_exact(&mut word).await.is_ok() {
                stream.write_all(&word).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        }
    });
    address
}

/// The certificate that a client is shown who trusts `root` alone and asks for `name`.
async fn shown(
    address: &str,
    root: &CertificateDer<'static>,
    name: &str,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"ping").await?;
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).await?;
    assert_eq!(&echo, b"ping");
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
}

/// Writes a certificate for `name` with its key, and answers the certificate.
fn write_site(directory: &Path, name: &str) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    fs::write(directory.join("site.pem"), cert.pem()).unwrap();
    fs::write(directory.join("site.key"), signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

fn load_site(directory: &Path) -> Arc<SiteCertificate> {
    SiteCertificate::load(&directory.join("site.pem"), &directory.join("site.key")).unwrap()
}

#[tokio::test]
async fn clients_that_trust_the_authority_get_in_with_either_version() {
    let authority = authority();
    let address = serve(&authority, None).await;
    for version in [&version::TLS12, &version::TLS13] {
        shown(&address, authority.certificate(), "localhost", version).await.unwrap();
    }
}

#[tokio::test]
async fn clients_refuse_a_foreign_authority_and_a_name_that_was_not_asked_for() {
    let (ours, theirs) = (authority(), authority());
    let address = serve(&ours, None).await;
    shown(&address, theirs.certificate(), "localhost", &version::TLS13).await.unwrap_err();
    shown(&address, ours.certificate(), "elsewhere", &version::TLS13).await.unwrap_err();
}

#[tokio::test]
async fn agents_trust_their_own_cluster_alone() {
    let (ours, theirs) = (authority(), authority());
    let address = serve(&ours, None).await;
    let mut stream = dialer(&ours).dial(&address).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut echo = Vec::new();
    stream.read_to_end(&mut echo).await.unwrap();
    assert_eq!(echo, b"ping");
    dialer(&theirs).dial(&address).await.unwrap_err();
}

#[tokio::test]
async fn the_sites_certificate_is_for_everybody_but_agents() {
    let directory = tempfile::tempdir().unwrap();
    let site = write_site(directory.path(), "hearth.example");
    let authority = authority();
    let address = serve(&authority, Some(load_site(directory.path()))).await;
    assert_eq!(shown(&address, &site, "hearth.example", &version::TLS13).await.unwrap(), site);
    dialer(&authority).dial(&address).await.unwrap();
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_once_its_key_is_there_too() {
    let directory = tempfile::tempdir().unwrap();
    let old = write_site(directory.path(), "hearth.example");
    let site = load_site(directory.path());
    let address = serve(&authority(), Some(site.clone())).await;
    assert!(!site.reload().unwrap());

    let old_key = fs::read(directory.path().join("site.key")).unwrap();
    let new = write_site(directory.path(), "hearth.example");
    let new_key = fs::read(directory.path().join("site.key")).unwrap();
    fs::write(directory.path().join("site.key"), old_key).unwrap();
    site.reload().unwrap_err();
    assert_eq!(shown(&address, &old, "hearth.example", &version::TLS13).await.unwrap(), old);

    fs::write(directory.path().join("site.key"), new_key).unwrap();
    assert!(site.reload().unwrap());
    assert_eq!(shown(&address, &new, "hearth.example", &version::TLS13).await.unwrap(), new);
}

#[test]
fn the_sites_host_is_the_first_name_that_can_be_dialled() {
    let directory = tempfile::tempdir().unwrap();
    for (names, host) in [
        (vec!["*.example", "hearth.example", "10.0.0.7"], Some("hearth.example")),
        (vec!["10.0.0.7"], Some("10.0.0.7")),
        (vec!["*.example"], None),
    ] {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let made = generate_simple_self_signed(names).unwrap();
        fs::write(directory.path().join("site.pem"), made.cert.pem()).unwrap();
        fs::write(directory.path().join("site.key"), made.signing_key.serialize_pem()).unwrap();
        assert_eq!(load_site(directory.path()).host().as_deref(), host);
    }
}

#[test]
fn files_that_hold_something_else_are_told_by_name() {
    let directory = tempfile::tempdir().unwrap();
    write_site(directory.path(), "hearth.example");
    let (certificate, key) = (directory.path().join("site.pem"), directory.path().join("site.key"));
    let swapped = SiteCertificate::load(&key, &certificate).unwrap_err();
    assert_eq!(swapped.to_string(), format!("{} does not hold a certificate in PEM", key.display()));
    assert!(SiteCertificate::load(&directory.path().join("none"), &key).is_err());
}

#[tokio::test]
async fn plain_http_is_told_what_the_port_speaks() {
    let address = serve(&authority(), None).await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream
        .write_all(b"PUT /bucket/key HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("this port speaks TLS: use https:// to reach it.\n"), "{answer}");
}
