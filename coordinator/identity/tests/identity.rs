//! Stories over the whole of identity, on documents in memory.

use hearth_identity::{
    ADMINISTRATOR_ACCESS, Context, CredentialError, DocumentError, Documents, Identity, IdentityError,
    IdentityPolicy, JobClaim, KeyStatus, LaunchGuard, MemoryDocuments, NewRole, Principal, ServiceRefused,
    SessionPolicies, SessionRequest, Standing, TemporaryCredentials, TrustPolicy,
};
use hearth_types::{JobRunId, Timestamp, WorkerId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const ACCOUNT: &str = "000000000000";
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const EMR: &str = "emr-serverless.amazonaws.com";

fn trusting(principal: &str) -> TrustPolicy {
    TrustPolicy::parse(format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#
    ))
    .expect("valid")
}

fn allowing(action: &str, resource: &str) -> IdentityPolicy {
    IdentityPolicy::parse(format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}]}}"#
    ))
    .expect("valid")
}

async fn account() -> (Arc<MemoryDocuments>, Identity) {
    let documents = Arc::new(MemoryDocuments::default());
    let identity = Identity::open(documents.clone(), &[7; 32], ACCOUNT).await.expect("opens");
    (documents, identity)
}

async fn job_role(identity: &Identity) {
    let role = NewRole {
        name: "hearth-job".to_owned(),
        path: "/".to_owned(),
        description: None,
        max_session_seconds: 3600,
        trust: trusting(&format!(r#"{{"Service":"{EMR}"}}"#)),
        tags: Default::default(),
    };
    identity.create_role(role, NOW).await.expect("created");
    let policy = allowing("s3:*", "arn:aws:s3:::hearth/*");
    identity.put_role_policy("hearth-job", "data", policy).await.expect("put");
}

fn session(identity: &Identity, policies: SessionPolicies, job: Option<JobClaim>) -> TemporaryCredentials {
    let (role, session_name) = ("hearth-job".to_owned(), "run-1".to_owned());
    let request = SessionRequest { role, session_name, policies, ttl: HOUR, job };
    identity.issue_session(request, NOW).expect("issued")
}

fn principal(identity: &Identity, credentials: &TemporaryCredentials) -> Principal {
    let (key, token) = (&credentials.access_key_id, Some(credentials.session_token.as_str()));
    let found = identity.secret_for(key, token, NOW).expect("known");
    assert_eq!(found.secret_access_key, credentials.secret_access_key);
    found.principal
}

#[tokio::test]
async fn the_administrator_keeps_its_key_and_may_do_everything() {
    let (documents, identity) = account().await;
    let first = identity.ensure_administrator("admin", NOW).await.expect("made");
    let reopened = Identity::open(documents, &[7; 32], ACCOUNT).await.expect("opens");
    assert_eq!(reopened.ensure_administrator("admin", NOW).await.expect("kept"), first);
    let found = reopened.secret_for(&first.key.id, None, NOW).expect("known");
    assert_eq!(found.secret_access_key, first.secret_access_key);
    assert_eq!(found.principal.arn(), "arn:aws:iam::000000000000:user/admin");
    reopened
        .authorize(&found.principal, "emr-serverless:CreateApplication", "*", &Context::new())
        .expect("may");
}

#[tokio::test]
async fn secrets_are_not_stored_in_the_clear_and_need_the_master_key() {
    let (documents, identity) = account().await;
    let key = identity.ensure_administrator("admin", NOW).await.expect("made");
    let stored = format!("{:?}", documents.list("identity.user").await.expect("listed"));
    assert!(stored.contains(&key.key.id) && !stored.contains(&key.secret_access_key));
    let other = Identity::open(documents, &[8; 32], ACCOUNT).await.expect("opens");
    assert_eq!(other.secret_for(&key.key.id, None, NOW).unwrap_err(), CredentialError::Unknown);
}

#[tokio::test]
async fn an_inactive_or_deleted_key_is_unknown() {
    let (_, identity) = account().await;
    let key = identity.ensure_administrator("admin", NOW).await.expect("made").key.id;
    identity.set_access_key_status("admin", &key, KeyStatus::Inactive).await.expect("set");
    assert_eq!(identity.secret_for(&key, None, NOW).unwrap_err(), CredentialError::Unknown);
    assert_eq!(identity.secret_of_key(&key), None);
    identity.set_access_key_status("admin", &key, KeyStatus::Active).await.expect("set");
    assert!(identity.secret_for(&key, None, NOW).is_ok());
    identity.delete_access_key("admin", &key).await.expect("deleted");
    assert_eq!(identity.secret_for(&key, None, NOW).unwrap_err(), CredentialError::Unknown);
}

#[tokio::test]
async fn a_session_has_its_roles_rights_narrowed_by_its_own_policies() {
    let (_, identity) = account().await;
    job_role(&identity).await;
    let wide = principal(&identity, &session(&identity, SessionPolicies::default(), None));
    assert_eq!(wide.arn(), "arn:aws:sts::000000000000:assumed-role/hearth-job/run-1");
    let inline = Some(allowing("s3:GetObject", "*"));
    let narrow = SessionPolicies { inline, arns: Vec::new() };
    let narrow = principal(&identity, &session(&identity, narrow, None));
    let may = |who: &Principal, action: &str, resource: &str| {
        identity.authorize(who, action, resource, &Context::new()).is_ok()
    };
    assert!(may(&wide, "s3:PutObject", "arn:aws:s3:::hearth/a"));
    assert!(!may(&wide, "s3:PutObject", "arn:aws:s3:::other/a"));
    assert!(may(&narrow, "s3:GetObject", "arn:aws:s3:::hearth/a"));
    assert!(!may(&narrow, "s3:PutObject", "arn:aws:s3:::hearth/a"));
    assert!(!may(&narrow, "s3:GetObject", "arn:aws:s3:::other/a"));
    identity.delete_role_policy("hearth-job", "data").await.expect("deleted");
    let denied =
        identity.authorize(&wide, "s3:PutObject", "arn:aws:s3:::hearth/a", &Context::new()).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "User: arn:aws:sts::000000000000:assumed-role/hearth-job/run-1 is not authorized to perform: s3:PutObject \
         on resource: arn:aws:s3:::hearth/a because no identity-based policy allows the s3:PutObject action"
    );
}

#[tokio::test]
async fn a_token_goes_with_its_key_until_it_runs_out() {
    let (_, identity) = account().await;
    job_role(&identity).await;
    let one = session(&identity, SessionPolicies::default(), None);
    let two = session(&identity, SessionPolicies::default(), None);
    let check = |key: &str, token: &str, now| identity.secret_for(key, Some(token), now).map(|_| ());
    assert_eq!(check(&one.access_key_id, &one.session_token, NOW), Ok(()));
    assert_eq!(check(&one.access_key_id, &two.session_token, NOW), Err(CredentialError::Unknown));
    assert_eq!(check(&one.access_key_id, "bm9uc2Vuc2U=", NOW), Err(CredentialError::Unknown));
    let end = NOW.plus(HOUR);
    assert_eq!(check(&one.access_key_id, &one.session_token, end), Err(CredentialError::Expired));
    assert!(identity.secret_for(&one.access_key_id, None, NOW).is_err());
    identity.delete_role_policy("hearth-job", "data").await.expect("deleted");
    identity.delete_role("hearth-job").await.expect("deleted");
    job_role(&identity).await;
    assert_eq!(check(&one.access_key_id, &one.session_token, NOW), Err(CredentialError::Unknown));
}

/// A launch, and that its workers are gone when it is 0.
struct CurrentLaunch(AtomicU32);
impl LaunchGuard for CurrentLaunch {
    fn standing(&self, job: &JobClaim) -> Standing {
        match self.0.load(Ordering::SeqCst) {
            0 => Standing::Over,
            current if current == job.launch => Standing::Current,
            _ => Standing::LogsOnly,
        }
    }
}

#[tokio::test]
async fn a_newer_launch_revokes_the_older_ones_credentials() {
    let (_, identity) = account().await;
    job_role(&identity).await;
    let job_run_id = JobRunId::new("00f").expect("id");
    let worker_id = WorkerId::new("w-1").expect("id");
    let logs = vec!["arn:aws:s3:::logs/applications/a/jobs/j/SPARK_EXECUTOR/1/".to_owned()];
    let job = JobClaim { job_run_id, attempt: 1, launch: 1, worker_id, logs };
    let credentials = session(&identity, SessionPolicies::default(), Some(job));
    let check =
        || identity.secret_for(&credentials.access_key_id, Some(&credentials.session_token), NOW).map(|_| ());
    assert_eq!(check(), Err(CredentialError::Superseded), "nobody vouches for the launch yet");
    let current = Arc::new(CurrentLaunch(AtomicU32::new(1)));
    identity.guard_launches(current.clone());
    assert_eq!(check(), Ok(()));
    let writes = |key: &str| {
        let resource = format!("arn:aws:s3:::logs/applications/a/jobs/j/{key}");
        let (token, id) = (&credentials.session_token, &credentials.access_key_id);
        identity.log_writer(token, id, &resource, NOW).is_some()
    };
    assert!(!writes("SPARK_EXECUTOR/1/stdout.gz"), "it has all its rights");
    current.0.store(2, Ordering::SeqCst);
    assert_eq!(check(), Err(CredentialError::Superseded));
    assert!(writes("SPARK_EXECUTOR/1/stdout.gz"), "what it wrote before its end is still delivered");
    assert!(!writes("SPARK_EXECUTOR/10/stdout.gz") && !writes("SPARK_DRIVER/stdout.gz"));
    current.0.store(0, Ordering::SeqCst);
    assert!(!writes("SPARK_EXECUTOR/1/stdout.gz"), "once it is gone nothing follows");
}

#[tokio::test]
async fn roles_are_assumed_by_those_they_trust() {
    let (_, identity) = account().await;
    job_role(&identity).await;
    let key = identity.ensure_administrator("admin", NOW).await.expect("made").key.id;
    let admin = identity.secret_for(&key, None, NOW).expect("known").principal;
    let arn = "arn:aws:iam::000000000000:role/hearth-job";
    assert!(identity.can_assume_as_service(arn, EMR, &Context::new()).is_ok());
    assert_eq!(
        identity.can_assume_as_service(arn, "ec2.amazonaws.com", &Context::new()).unwrap_err(),
        ServiceRefused::NotTrusted
    );
    assert_eq!(
        identity.can_assume_as_service(&arn.replace("job", "x"), EMR, &Context::new()).unwrap_err(),
        ServiceRefused::NoSuchRole
    );
    let ask = |seconds| {
        let request = SessionRequest {
            role: String::new(),
            session_name: "me".to_owned(),
            policies: SessionPolicies::default(),
            ttl: Duration::from_secs(seconds),
            job: None,
        };
        identity.assume_role(&admin, arn, request, &Context::new(), NOW)
    };
    assert!(matches!(ask(900), Err(IdentityError::Denied(_))), "the role trusts the service alone");
    let account_root = trusting(&format!(r#"{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}}"#));
    identity.update_trust("hearth-job", account_root).await.expect("updated");
    assert!(ask(900).is_ok());
    assert!(matches!(ask(3601), Err(IdentityError::Invalid(_))));
    identity.detach_user_policy("admin", ADMINISTRATOR_ACCESS).await.expect("detached");
    assert!(matches!(ask(900), Err(IdentityError::Denied(_))), "the account is trusted, the user may not");
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted_and_names_are_unique_whatever_their_case() {
    let (_, identity) = account().await;
    identity.ensure_administrator("Admin", NOW).await.expect("made");
    assert!(matches!(identity.delete_user("admin").await, Err(IdentityError::DeleteConflict(_))));
    let again = identity.create_user("ADMIN", "/", Default::default(), NOW).await;
    assert!(matches!(again, Err(IdentityError::AlreadyExists(_))));
    let policy = identity
        .create_policy("p", "/", None, allowing("s3:*", "*"), Default::default(), NOW)
        .await
        .expect("created");
    identity.attach_user_policy("admin", &policy.arn).await.expect("attached");
    assert!(matches!(identity.delete_policy(&policy.arn).await, Err(IdentityError::DeleteConflict(_))));
    identity.detach_user_policy("admin", &policy.arn).await.expect("detached");
    identity.delete_policy(&policy.arn).await.expect("deleted");
    assert!(matches!(
        identity.attach_user_policy("admin", &policy.arn).await,
        Err(IdentityError::NoSuchEntity(_))
    ));
}

#[tokio::test]
async fn a_change_that_is_not_stored_does_not_show() {
    let (documents, identity) = account().await;
    identity.create_user("u", "/", Default::default(), NOW).await.expect("created");
    let stored = documents.list("identity.user").await.expect("listed").remove(0);
    documents.put("identity.user", "u", stored.revision, stored.body).await.expect("somebody else wrote");
    let refused = identity.create_access_key("u", NOW).await;
    assert!(matches!(refused, Err(IdentityError::Store { source: DocumentError::Conflict })));
    assert!(identity.user("u").expect("kept").keys.is_empty());
    assert!(identity.create_access_key("u", NOW).await.is_ok(), "what is stored was read again");
}
