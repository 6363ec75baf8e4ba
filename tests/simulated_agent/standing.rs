//! What operators do to agents: drain, undrain, revoke.

use crate::harness::{Cluster, Keys, Submission};
use crate::host::{Host, room_for};
use crate::worker::running;
use hearth_mtls::PendingKey;
use hearth_proto::v1;
use http::Method;
use serde_json::{Value, json};
use tonic::Code;

async fn change(cluster: &Cluster, host: &Host, verb: &str) -> Value {
    let path = format!("/hearth/v1/agents/{}/{verb}", host.id);
    cluster.administrator().emr(Method::POST, &path, None).await.json()
}

async fn described(cluster: &Cluster, host: &Host) -> Value {
    let path = format!("/hearth/v1/agents/{}", host.id);
    cluster.administrator().emr(Method::GET, &path, None).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_host_finishes_what_it_has_and_gets_nothing_new() {
    let mut cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(2)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&job).await;
    stream.say(driver.runs()).await;
    stream.settled().await;
    assert_eq!(change(&cluster, &host, "drain").await["standing"], "DRAINING");

    let waits = cluster.submit(&Submission::of_executors(0)).await;
    cluster.until_run(&waits, "a reason to wait", |run| (!run.details.is_empty()).then_some(())).await;
    assert_eq!(cluster.shown(&waits).await["state"], "PENDING");
    let page = described(&cluster, &host).await;
    assert_eq!((&page["contact"], &page["workerCount"]), (&"ATTACHED".into(), &1.into()));
    assert_eq!(page["workers"][0]["jobRunId"], job.run.as_str());

    // It is the operator's word: neither agent nor coordinator forgets it.
    drop(stream);
    cluster.restart().await;
    let stream = host.attach(&cluster, vec![driver.report(running())]).await;
    assert_eq!(described(&cluster, &host).await["standing"], "DRAINING");
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    assert_eq!(cluster.shown(&waits).await["state"], "PENDING");

    assert_eq!(change(&cluster, &host, "undrain").await["standing"], "IN_SERVICE");
    stream.driver(&waits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_is_cut_off_and_never_served_again() {
    let mut cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let mut open = host.client(&cluster).await;
    assert_eq!(change(&cluster, &host, "revoke").await["standing"], "REVOKED");
    stream.hear("the end", |heard| heard.end.as_ref().map(|_| ())).await;

    for restarted in [false, true] {
        if restarted {
            cluster.restart().await;
            open = host.client(&cluster).await;
        }
        let refused = host.hello(&cluster, hearth_proto::PROTOCOL, vec![]).await;
        let reason = refused.hear("the end", |heard| heard.end.clone()).await;
        assert!(reason.contains("was revoked"), "{reason}");
        // Otherwise it would go on for ever with the certificate that it has.
        let csr_der = PendingKey::generate().and_then(|key| key.request()).expect("a request");
        let renewed = open.renew_certificate(v1::RenewCertificateRequest { csr_der }).await;
        assert_eq!(renewed.expect_err("refused").code(), Code::PermissionDenied);
    }
    let back = cluster
        .administrator()
        .emr(Method::POST, &format!("/hearth/v1/agents/{}/undrain", host.id), None)
        .await;
    assert_eq!(back.status, 409, "{back:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_shown_and_changed_with_the_right_to_it_alone() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let _stream = host.attach(&cluster, vec![]).await;
    let keys = cluster
        .user("looks", json!({"Effect": "Allow", "Action": "hearth:ListAgents", "Resource": "*"}))
        .await;
    let looks = cluster.client(keys.clone());
    let listed = looks.emr(Method::GET, "/hearth/v1/agents", None).await.json();
    assert_eq!(listed["agents"][0]["id"], host.id.as_str());
    let denied = looks.emr(Method::POST, &format!("/hearth/v1/agents/{}/revoke", host.id), None).await;
    assert_eq!(denied.status, 403);
    assert!(denied.body.contains("hearth:RevokeAgent"), "{denied:?}");
    let unsigned = cluster.client(Keys { secret_access_key: "wrong".to_owned(), ..keys });
    assert_eq!(unsigned.emr(Method::GET, "/hearth/v1/agents", None).await.status, 403);
    let unknown = cluster.administrator().emr(Method::POST, "/hearth/v1/agents/a-none/drain", None).await;
    assert_eq!(unknown.status, 404);
}
