//! What administrators do: versions, tags, quotas, rotation of keys, and what sessions are bound by.

use hearth_identity::{
    ADMINISTRATOR_ACCESS, Context, Documents, Identity, IdentityError, IdentityPolicy, InForce,
    MemoryDocuments, NewRole, Principal, SessionPolicies, SessionRequest, TrustPolicy,
};
use hearth_types::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const ACCOUNT: &str = "000000000000";
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const SHARED: &str = "arn:aws:iam::000000000000:policy/shared";

async fn account() -> (Arc<MemoryDocuments>, Arc<Identity>) {
    let documents = Arc::new(MemoryDocuments::default());
    (documents.clone(), reopened(documents).await)
}

async fn reopened(documents: Arc<MemoryDocuments>) -> Arc<Identity> {
    Arc::new(Identity::open(documents, &[7; 32], ACCOUNT).await.expect("opens"))
}

fn policy(statement: &str) -> IdentityPolicy {
    IdentityPolicy::parse(format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)).expect("valid")
}

fn allowing(action: &str) -> IdentityPolicy {
    policy(&format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#))
}

fn tags(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn role(identity: &Identity, name: &str, trusted: &str) -> String {
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":"{trusted}"}},"Action":"sts:AssumeRole"}}}}"#
    );
    let new = NewRole {
        name: name.to_owned(),
        path: "/".to_owned(),
        description: None,
        max_session_seconds: 3600,
        trust: TrustPolicy::parse(trust).expect("valid"),
        tags: BTreeMap::new(),
    };
    identity.create_role(new, NOW).await.expect("created").arn(ACCOUNT)
}

async fn user(identity: &Identity, name: &str) -> Principal {
    identity.create_user(name, "/", BTreeMap::new(), NOW).await.expect("created");
    let key = identity.create_access_key(name, NOW).await.expect("made").key.id;
    identity.secret_for(&key, None, NOW).expect("known").principal
}

/// A session of `role`, and whoever it is.
fn assume(
    identity: &Identity,
    by: &Principal,
    role: &str,
    inline: Option<IdentityPolicy>,
) -> Option<Principal> {
    let request = SessionRequest {
        role: String::new(),
        session_name: "session".to_owned(),
        policies: SessionPolicies { inline, arns: Vec::new() },
        ttl: HOUR,
        job: None,
    };
    let (_, made) = identity.assume_role(by, role, request, &Context::new(), NOW).ok()?;
    Some(identity.secret_for(&made.access_key_id, Some(&made.session_token), NOW).expect("known").principal)
}

fn may(identity: &Identity, who: &Principal, action: &str, context: &Context) -> bool {
    identity.authorize(who, action, "*", context).is_ok()
}

#[tokio::test]
async fn one_version_of_a_managed_policy_is_in_force() {
    let (documents, identity) = account().await;
    let ann = user(&identity, "ann").await;
    identity
        .create_policy("shared", "/", None, allowing("s3:GetObject"), BTreeMap::new(), NOW)
        .await
        .expect("created");
    identity.attach_user_policy("ann", SHARED).await.expect("attached");
    let allowed = |identity: &Identity| {
        ["s3:GetObject", "s3:PutObject"].map(|action| may(identity, &ann, action, &Context::new()))
    };
    let made = identity.create_policy_version(SHARED, allowing("s3:PutObject"), InForce::No, NOW).await;
    assert_eq!(made.expect("made").number, 2);
    assert_eq!(allowed(&identity), [true, false]);
    identity.set_default_policy_version(SHARED, "v2").await.expect("set");
    assert_eq!(allowed(&identity), [false, true]);

    // As it was before, after a restart too.
    let again = reopened(documents).await;
    assert_eq!(allowed(&again), [false, true]);
    let numbers = |identity: &Identity| {
        let policy = identity.managed_policy(SHARED).expect("there");
        let kept: Vec<_> = policy.versions().iter().map(|version| version.number).collect();
        (policy.default_version().number, kept)
    };
    assert_eq!(numbers(&again), (2, vec![2, 1]));
    assert!(matches!(again.delete_policy_version(SHARED, "v2").await, Err(IdentityError::DeleteConflict(_))));
    assert!(matches!(again.delete_policy_version(SHARED, "v9").await, Err(IdentityError::NoSuchEntity(_))));

    // Numbers are not used twice, and five versions are kept.
    again.delete_policy_version(SHARED, "v1").await.expect("deleted");
    for number in 3..=6 {
        let made = again.create_policy_version(SHARED, allowing("s3:GetObject"), InForce::Yes, NOW).await;
        assert_eq!(made.expect("made").number, number);
    }
    assert_eq!(numbers(&again), (6, vec![6, 5, 4, 3, 2]));
    let more = again.create_policy_version(SHARED, allowing("s3:GetObject"), InForce::Yes, NOW).await;
    assert!(matches!(more, Err(IdentityError::Limit(_))));
    assert_eq!(allowed(&again), [true, false]);
    again.detach_user_policy("ann", SHARED).await.expect("detached");
    assert!(matches!(again.delete_policy(SHARED).await, Err(IdentityError::DeleteConflict(_))));
}

#[tokio::test]
async fn a_policy_stored_before_there_were_versions_is_its_first() {
    let (documents, identity) = account().await;
    identity
        .create_policy("shared", "/", None, allowing("s3:GetObject"), BTreeMap::new(), NOW)
        .await
        .expect("created");
    let mut stored = documents.list("identity.policy").await.expect("listed").remove(0);
    let members = stored.body.as_object_mut().expect("an object");
    assert!(members.remove("default_version").is_some() && members.remove("last_version").is_some());
    documents.put("identity.policy", &stored.id, stored.revision, stored.body).await.expect("put");
    let again = reopened(documents).await;
    assert_eq!(again.managed_policy(SHARED).expect("read").version("v1").expect("there").created_at, NOW);
    let made = again.create_policy_version(SHARED, allowing("s3:PutObject"), InForce::No, NOW).await;
    assert_eq!(made.expect("made").number, 2);
}

#[tokio::test]
async fn principals_are_known_by_their_tags() {
    let (_, identity) = account().await;
    let ann = user(&identity, "ann").await;
    let same_team = policy(
        r#"{"Effect":"Allow","Action":"*","Resource":"*",
            "Condition":{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}}"#,
    );
    identity.put_user_policy("ann", "team", same_team.clone()).await.expect("put");
    let of_data = Context::new().with("aws:ResourceTag/team", "data");
    assert!(!may(&identity, &ann, "s3:GetObject", &of_data));
    identity.tag_user("ann", &tags(&[("Team", "data")])).await.expect("tagged");
    assert!(may(&identity, &ann, "s3:GetObject", &of_data));
    assert!(!may(&identity, &ann, "s3:GetObject", &Context::new().with("aws:ResourceTag/team", "web")));
    identity.untag_user("ann", &BTreeSet::from(["team".to_owned()])).await.expect("untagged");
    assert!(!may(&identity, &ann, "s3:GetObject", &of_data));

    let lead = role(&identity, "lead", "arn:aws:iam::000000000000:user/ann").await;
    identity.put_role_policy("lead", "team", same_team).await.expect("put");
    identity.tag_role("lead", &tags(&[("team", "data")])).await.expect("tagged");
    let session = assume(&identity, &ann, &lead, None).expect("trusted");
    assert!(may(&identity, &session, "s3:GetObject", &of_data));
}

#[tokio::test]
async fn nothing_is_decided_without_a_resources_tags_where_a_policy_asks_for_them() {
    let (_, identity) = account().await;
    let who = user(&identity, "sue").await;
    let decided =
        |who: &Principal| identity.authorize_without_tags(who, "s3:GetObject", "*", &Context::new());
    assert!(decided(&who).is_some_and(|judged| judged.is_err()));
    identity.put_user_policy("sue", "all", allowing("*")).await.expect("put");
    assert_eq!(decided(&who), Some(Ok(())));
    let tagged = policy(
        r#"{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"b"}}}"#,
    );
    let reader = role(&identity, "reader", who.arn()).await;
    identity.put_role_policy("reader", "all", allowing("*")).await.expect("put");
    let free = assume(&identity, &who, &reader, None).expect("assumed");
    let bound = assume(&identity, &who, &reader, Some(tagged.clone())).expect("assumed");
    assert_eq!((decided(&free), decided(&bound)), (Some(Ok(())), None), "a session's own policy asks too");
    identity.put_user_policy("sue", "tags", tagged).await.expect("put");
    assert_eq!(decided(&who), None);
}

#[tokio::test]
async fn trust_lifts_no_bound_of_a_session() {
    let (_, identity) = account().await;
    let ann = user(&identity, "ann").await;
    let first = role(&identity, "first", "arn:aws:iam::000000000000:user/ann").await;
    let second = role(&identity, "second", &first).await;
    let wide = assume(&identity, &ann, &first, None).expect("trusted");
    assert!(assume(&identity, &wide, &second, None).is_some(), "trusted by name, and without bounds");
    let narrow = assume(&identity, &ann, &first, Some(allowing("s3:GetObject"))).expect("trusted");
    assert!(assume(&identity, &narrow, &second, None).is_none(), "its session may read objects, and no more");
    let enough = assume(&identity, &ann, &first, Some(allowing("sts:AssumeRole"))).expect("trusted");
    assert!(assume(&identity, &enough, &second, None).is_some());
}

#[tokio::test]
async fn sessions_from_before_a_moment_can_be_denied() {
    let (_, identity) = account().await;
    let ann = user(&identity, "ann").await;
    let arn = role(&identity, "worker", "arn:aws:iam::000000000000:user/ann").await;
    identity.attach_role_policy("worker", ADMINISTRATOR_ACCESS).await.expect("attached");
    let session = assume(&identity, &ann, &arn, None).expect("trusted");
    for (moment, expected) in [("2023-11-14T22:13:20Z", true), ("2023-11-14T22:13:21Z", false)] {
        let revoked = policy(&format!(
            r#"{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{{"DateLessThan":{{"aws:TokenIssueTime":"{moment}"}}}}}}"#
        ));
        identity.put_role_policy("worker", "revoked", revoked).await.expect("put");
        assert_eq!(may(&identity, &session, "s3:GetObject", &Context::new()), expected, "{moment}");
    }
    identity.attach_user_policy("ann", ADMINISTRATOR_ACCESS).await.expect("attached");
    let no_factor = policy(
        r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}"#,
    );
    identity.put_user_policy("ann", "factor", no_factor).await.expect("put");
    assert!(may(&identity, &ann, "s3:GetObject", &Context::new()), "long-lived keys do not say");
}

#[tokio::test]
async fn quotas_bound_what_one_user_or_role_holds() {
    let (_, identity) = account().await;
    user(&identity, "ann").await;
    role(&identity, "worker", ACCOUNT).await;
    for number in 0..=10 {
        let name = format!("p{number}");
        let made = identity.create_policy(&name, "/", None, allowing("s3:*"), BTreeMap::new(), NOW).await;
        let arn = made.expect("created").arn;
        for attached in [
            identity.attach_user_policy("ann", &arn).await,
            identity.attach_role_policy("worker", &arn).await,
        ] {
            match number {
                10 => assert!(matches!(attached, Err(IdentityError::Limit(_)))),
                _ => attached.expect("room"),
            }
        }
    }
    assert_eq!(identity.user("ann").expect("there").attached.len(), 10);
    let long = |length: usize| {
        let list = vec![r#""s3:GetObject""#; length / 15].join(",");
        policy(&format!(r#"{{"Effect":"Allow","Action":[{list}],"Resource":"*"}}"#))
    };
    identity.put_user_policy("ann", "first", long(1_500)).await.expect("room");
    let more = identity.put_user_policy("ann", "second", long(1_500)).await;
    assert!(matches!(more, Err(IdentityError::Limit(_))), "{more:?}");
    identity.put_user_policy("ann", "first", long(1_600)).await.expect("in place of the first");
    identity.put_role_policy("worker", "first", long(9_000)).await.expect("room");
    let more = identity.put_role_policy("worker", "second", long(1_500)).await;
    assert!(matches!(more, Err(IdentityError::Limit(_))), "{more:?}");
}

#[tokio::test]
async fn the_latest_use_of_a_key_is_known_at_once_and_stored_now_and_then() {
    let (documents, identity) = account().await;
    let ann = user(&identity, "ann").await;
    let Principal::User { access_key_id: key, .. } = &ann else { panic!("a user") };
    assert_eq!(identity.last_use(key).expect("known").1, None);
    identity.note_use(&ann, "iam", "us-east-1", NOW);
    let soon = NOW.plus(Duration::from_secs(60));
    identity.note_use(&ann, "s3", "us-east-1", soon);
    let (user, used) = identity.last_use(key).expect("known");
    assert_eq!(
        (user.name.as_str(), used.map(|used| (used.at, used.service))),
        ("ann", Some((soon, "s3".into())))
    );

    // The first use is stored, and then one a quarter of an hour after it.
    let stored = async || {
        let again = reopened(documents.clone()).await;
        again.last_use(key).expect("known").1.map(|used| used.at)
    };
    until(async || stored().await == Some(NOW)).await;
    let later = NOW.plus(Duration::from_secs(15 * 60));
    identity.note_use(&ann, "s3", "us-east-1", later);
    until(async || stored().await == Some(later)).await;
    assert!(matches!(identity.last_use("AKIANOBODY"), Err(IdentityError::NoSuchEntity(_))));
}

/// Waits for a condition, for ten seconds at most.
async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("in time");
}
