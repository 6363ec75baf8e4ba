//! Join tokens: one host each, for a while.

use crate::harness::Cluster;
use crate::host::{enrol, enrol_with, join_token};
use hearth_mtls::{Fingerprint, PeerName, PendingKey};
use hearth_store::JoinToken;
use hearth_types::Timestamp;
use tonic::Code;

fn key() -> PendingKey {
    PendingKey::generate().expect("a key")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_never_made_enrols_nobody() {
    let cluster = Cluster::start().await;
    let refused = enrol(&cluster, "hearth-guessed", &key()).await.expect_err("refused");
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "the join token is unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_enrols_one_host_under_a_name_that_we_chose() {
    let cluster = Cluster::start().await;
    let token = join_token(&cluster).await;
    let first = key();
    let enrolled = enrol(&cluster, &token, &first).await.expect("enrolled");
    let named = PeerName::of_certificate(&enrolled.certificate_der, "hearth").expect("a name");
    assert_eq!(named, PeerName::Agent(enrolled.agent_id.parse().expect("an id")));
    assert_eq!(enrolled.cluster, "hearth");

    let refused = enrol(&cluster, &token, &key()).await.expect_err("another host");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("already used"), "{}", refused.message());

    // The first answer may have been lost: the same host asks again, with a request that it signed anew.
    let again = enrol(&cluster, &token, &first).await.expect("the same host within five minutes");
    assert_eq!(again.agent_id, enrolled.agent_id);
    first.certified(again.certificate_der, again.ca_der).expect("a certificate for its key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_time_is_over_enrols_nobody() {
    let cluster = Cluster::start().await;
    let token = JoinToken {
        hash: Fingerprint::of(b"hearth-late").to_string(),
        expires_at: Timestamp::from_millis(1),
    };
    cluster.coordinator().store.issue_join_token(token).await.expect("recorded");
    let refused = enrol(&cluster, "hearth-late", &key()).await.expect_err("too late");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("expired"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_does_not_use_the_token_up() {
    let cluster = Cluster::start().await;
    let token = join_token(&cluster).await;
    let mut forged = key().request().expect("a request");
    *forged.last_mut().expect("bytes") ^= 1;
    let refused = enrol_with(&cluster, &token, forged).await.expect_err("a wrong signature");
    assert_eq!(refused.code(), Code::InvalidArgument);
    enrol(&cluster, &token, &key()).await.expect("the token is still good");
}
