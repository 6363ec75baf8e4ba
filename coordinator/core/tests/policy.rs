//! The order of evaluation, what is refused, and properties of any policy.

mod policies;

use hearth_coordinator_core::policy::{
    Caller, Context, Decision, MalformedPolicy, PolicyDocument, PolicyKind, Request, Source, TrustDecision,
    evaluate, evaluate_trust,
};
use policies::{document, identity, job_role, read, user};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn the_order_is_deny_then_session_then_identity() {
    let all = identity(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}));
    let read = identity(json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}));
    let no_secrets =
        identity(json!({"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::b/secret/*"}));
    let (caller, context) = (job_role(), Context::new());
    let decide = |identity: &[&PolicyDocument], session: Option<&[&PolicyDocument]>, action, resource| {
        evaluate(&Request { caller: &caller, action, resource, context: &context }, identity, session)
    };
    let open = "arn:aws:s3:::b/open";
    let secret = "arn:aws:s3:::b/secret/x";
    assert_eq!(decide(&[], None, "s3:GetObject", open), Decision::ImplicitDeny(Source::Identity));
    assert_eq!(decide(&[&all], None, "s3:PutObject", open), Decision::Allowed);
    assert_eq!(
        decide(&[&all, &no_secrets], None, "s3:GetObject", secret),
        Decision::ExplicitDeny(Source::Identity)
    );
    assert_eq!(decide(&[&all], Some(&[&read]), "s3:GetObject", open), Decision::Allowed);
    assert_eq!(
        decide(&[&all], Some(&[&read]), "s3:PutObject", open),
        Decision::ImplicitDeny(Source::Session)
    );
    assert_eq!(decide(&[&all], Some(&[]), "s3:GetObject", open), Decision::ImplicitDeny(Source::Session));
    assert_eq!(decide(&[], Some(&[&read]), "s3:GetObject", open), Decision::ImplicitDeny(Source::Identity));
    let bounded = decide(&[&all], Some(&[&all, &no_secrets]), "s3:GetObject", secret);
    assert_eq!(bounded, Decision::ExplicitDeny(Source::Session));
    assert_eq!(
        Decision::ImplicitDeny(Source::Identity).reason("s3:GetObject").as_deref(),
        Some("because no identity-based policy allows the s3:GetObject action")
    );
}

#[test]
fn inverted_elements_and_conditions_narrow_a_statement() {
    let policy = identity(json!([
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::home/${aws:username}/*"},
        {"Effect": "Deny", "Action": "emr-serverless:*", "Resource": "*",
         "Condition": {"StringNotEquals": {"aws:ResourceTag/team": "data"}}},
    ]));
    let decide = |action, resource, context: &Context| {
        evaluate(&Request { caller: &user("ann"), action, resource, context }, &[&policy], None).is_allowed()
    };
    let none = Context::new();
    assert!(decide("s3:GetObject", "arn:aws:s3:::home/ann/x", &none));
    assert!(!decide("s3:GetObject", "arn:aws:s3:::home/bob/x", &none));
    assert!(!decide("iam:CreateUser", "*", &none));
    let arn = "arn:aws:emr-serverless:us-east-1:000000000000:/applications/a";
    assert!(decide(
        "EMR-Serverless:GetApplication",
        arn,
        &Context::new().with("aws:ResourceTag/Team", "data")
    ));
    assert!(!decide("emr-serverless:GetApplication", arn, &none));
}

#[test]
fn a_caller_cannot_be_described_by_the_requests_context() {
    let policy = identity(json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:username": "root", "aws:PrincipalTag/rank": "head"}}}));
    let context = Context::new().with("aws:username", "root").with("aws:PrincipalTag/rank", "head");
    let tagged = identity(json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Condition": {"Null": {"aws:PrincipalTag/rank": "false"}}}));
    for caller in [user("ann"), job_role()] {
        let request = Request { caller: &caller, action: "s3:GetObject", resource: "*", context: &context };
        assert!(!evaluate(&request, &[&policy], None).is_allowed(), "{caller:?}");
        assert!(!evaluate(&request, &[&tagged], None).is_allowed(), "{caller:?}");
    }
}

#[test]
fn a_role_trusts_whom_its_policy_names() {
    let service = Caller::Service { name: "emr-serverless.amazonaws.com".into() };
    let trust = |statements| read(statements, PolicyKind::Trust);
    let emr = trust(json!([{"Sid": "Jobs", "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "emr-serverless.amazonaws.com"},
        "Condition": {"StringLike": {"aws:SourceArn": "arn:aws:emr-serverless:*"}}}]));
    let account = trust(json!([
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}},
        {"Effect": "Deny", "Action": "sts:*", "Principal": {"AWS": "arn:aws:iam::000000000000:user/eve"}},
    ]));
    let all_but_ann = trust(json!([
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}},
        {"Effect": "Deny", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": [
            "arn:aws:iam::000000000000:root", "arn:aws:iam::000000000000:user/ann"]}},
    ]));
    let foreign = trust(json!([{"Effect": "Allow", "Action": "sts:AssumeRole",
        "NotPrincipal": {"AWS": "arn:aws:iam::000000000000:root"}}]));
    let context =
        Context::new().with("aws:SourceArn", "arn:aws:emr-serverless:us-east-1:000000000000:/applications/a");
    for (caller, policy, context, expected) in [
        (&service, &emr, &context, TrustDecision::Allowed),
        (&service, &emr, &Context::new(), TrustDecision::ImplicitDeny),
        (&user("ann"), &emr, &context, TrustDecision::ImplicitDeny),
        (&user("ann"), &account, &context, TrustDecision::AllowedThroughAccount),
        (&user("eve"), &account, &context, TrustDecision::ExplicitDeny),
        (&service, &account, &context, TrustDecision::ImplicitDeny),
        (&user("ann"), &all_but_ann, &context, TrustDecision::Allowed),
        (&user("eve"), &all_but_ann, &context, TrustDecision::ExplicitDeny),
        (&user("ann"), &foreign, &context, TrustDecision::ImplicitDeny),
    ] {
        let request = Request {
            caller,
            action: "sts:AssumeRole",
            resource: "arn:aws:iam::000000000000:role/job",
            context,
        };
        assert_eq!(evaluate_trust(&request, policy), expected, "{caller:?}");
    }
}

#[test]
fn malformed_documents_are_refused_for_their_reason() {
    let good = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    let changed = |name: &str, value: Value| {
        let mut statement = good.clone();
        statement[name] = value;
        document(json!([statement])).to_string()
    };
    let without = |name: &str| {
        let mut statement = good.clone();
        statement.as_object_mut().expect("object").remove(name);
        document(json!(statement)).to_string()
    };
    for (text, expected) in [
        ("{".to_owned(), MalformedPolicy::Syntax),
        ("[]".to_owned(), MalformedPolicy::Syntax),
        (json!({"Version": "2012-10-17"}).to_string(), MalformedPolicy::Syntax),
        (json!({"Version": "2020-01-01", "Statement": good}).to_string(), MalformedPolicy::Version),
        (document(json!([])).to_string(), MalformedPolicy::Syntax),
        (
            r#"{"Statement":{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}"#.to_owned(),
            MalformedPolicy::Syntax,
        ),
        (changed("Effect", json!("allow")), MalformedPolicy::Syntax),
        (changed("Actions", json!("s3:*")), MalformedPolicy::Syntax),
        (changed("NotAction", json!("s3:*")), MalformedPolicy::Syntax),
        (changed("Action", json!([])), MalformedPolicy::NoActions),
        (without("Action"), MalformedPolicy::NoActions),
        (without("Resource"), MalformedPolicy::NoResources),
        (changed("Resource", json!("bucket")), MalformedPolicy::NotAnArn("bucket".into())),
        (changed("Principal", json!("*")), MalformedPolicy::PrincipalGiven),
        (changed("Sid", json!("not ok")), MalformedPolicy::Sid),
        (changed("Condition", json!({"Is": {"aws:x": "y"}})), MalformedPolicy::Operator("Is".into())),
        (
            document(json!({"Effect": "Deny", "Action": "s3Get", "Resource": "*"})).to_string(),
            MalformedPolicy::NoVendor,
        ),
        (
            document(json!([
                {"Sid": "A", "Effect": "Allow", "Action": "s3:*", "Resource": "*"},
                {"Sid": "A", "Effect": "Allow", "Action": "s3:*", "Resource": "*"},
            ]))
            .to_string(),
            MalformedPolicy::DuplicateSid,
        ),
    ] {
        assert_eq!(PolicyDocument::parse(&text, PolicyKind::Identity), Err(expected), "{text}");
    }
    let trust = |statement: Value| PolicyDocument::parse(&document(statement).to_string(), PolicyKind::Trust);
    let base = json!({"Effect": "Allow", "Action": "sts:AssumeRole"});
    assert_eq!(trust(base), Err(MalformedPolicy::NoPrincipals));
    let wrong = json!({"Effect": "Allow", "Action": "s3:*", "Principal": "*"});
    assert_eq!(trust(wrong), Err(MalformedPolicy::NotSts));
    let resource = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "Resource": "*"});
    assert_eq!(trust(resource), Err(MalformedPolicy::ResourceGiven));
}

/// Statements over a small world, so that many of them meet.
fn statements() -> impl Strategy<Value = Value> {
    let effect = prop::sample::select(vec!["Allow", "Deny"]);
    let action_name = prop::sample::select(vec!["Action", "NotAction"]);
    let action = prop::sample::select(vec!["*", "s3:*", "s3:Get*", "s3:GetObject", "s3:PutObject"]);
    let resource_name = prop::sample::select(vec!["Resource", "NotResource"]);
    let resource = prop::sample::select(vec![
        "*",
        "arn:aws:s3:::a/*",
        "arn:aws:s3:::b/?",
        "arn:aws:s3:::a/${aws:userid}",
    ]);
    let condition = prop::option::of(prop::sample::select(vec![
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIfExists",
    ]));
    (effect, action_name, action, resource_name, resource, condition).prop_map(
        |(effect, action_name, action, resource_name, resource, condition)| {
            let mut statement = json!({"Effect": effect, action_name: action, resource_name: resource});
            if let Some(operator) = condition {
                statement["Condition"] = json!({operator: {"aws:k": "v"}});
            }
            statement
        },
    )
}

fn requests() -> impl Strategy<Value = (&'static str, &'static str, Context)> {
    (
        prop::sample::select(vec!["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
        prop::sample::select(vec![
            "arn:aws:s3:::a/x",
            "arn:aws:s3:::b/y",
            "arn:aws:s3:::a/AROAJOB:run",
            "arn:aws:s3:::c/z",
        ]),
        prop::sample::select(vec![
            Context::new(),
            Context::new().with("aws:k", "v"),
            Context::new().with("aws:k", "w"),
        ]),
    )
}

fn outcome(statements: &[Value], (action, resource, context): &(&str, &str, Context)) -> Decision {
    let policy = (!statements.is_empty()).then(|| identity(json!(statements)));
    let policies: Vec<_> = policy.iter().collect();
    evaluate(&Request { caller: &job_role(), action, resource, context }, &policies, None)
}

#[test]
fn a_document_says_whether_tags_of_the_resource_matter_to_it() {
    let statement = |rest: &str| {
        let text =
            format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"s3:*",{rest}}}}}"#);
        PolicyDocument::parse(&text, PolicyKind::Identity).unwrap().asks_for_resource_tags()
    };
    assert!(statement(r#""Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}"#));
    assert!(statement(r#""Resource":"*","Condition":{"Null":{"emr-serverless:resourcetag/team":"true"}}"#));
    assert!(statement(r#""Resource":"arn:aws:s3:::logs/${aws:ResourceTag/team}/*""#));
    assert!(statement(
        r#""Resource":"*","Condition":{"StringLike":{"aws:userid":["b","${aws:\u0052esourceTag/t}"]}}"#
    ));
    assert!(!statement(r#""Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"a"}}"#));
}

proptest! {
    #[test]
    fn an_explicit_deny_always_wins(
        mut list in prop::collection::vec(statements(), 0..6),
        at in any::<prop::sample::Index>(),
        request in requests(),
    ) {
        let deny = json!({"Effect": "Deny", "Action": request.0, "Resource": request.1});
        list.insert(at.index(list.len() + 1), deny);
        prop_assert_eq!(outcome(&list, &request), Decision::ExplicitDeny(Source::Identity));
    }

    #[test]
    fn another_allow_never_takes_an_allow_away(
        mut list in prop::collection::vec(statements(), 0..6),
        mut extra in statements(),
        request in requests(),
    ) {
        let before = outcome(&list, &request);
        extra["Effect"] = json!("Allow");
        list.push(extra);
        let after = outcome(&list, &request);
        prop_assert!(!before.is_allowed() || after.is_allowed());
        prop_assert_eq!(matches!(before, Decision::ExplicitDeny(_)), matches!(after, Decision::ExplicitDeny(_)));
    }

    #[test]
    fn an_unrelated_statement_changes_nothing(
        mut list in prop::collection::vec(statements(), 0..6),
        effect in prop::sample::select(vec!["Allow", "Deny"]),
        at in any::<prop::sample::Index>(),
        request in requests(),
    ) {
        let before = outcome(&list, &request);
        list.insert(at.index(list.len() + 1), json!({"Effect": effect, "Action": "glue:*", "Resource": "*"}));
        prop_assert_eq!(outcome(&list, &request), before);
    }

    #[test]
    fn the_order_of_statements_does_not_matter(
        list in prop::collection::vec(statements(), 0..6).prop_shuffle(),
        request in requests(),
    ) {
        let mut reversed = list.clone();
        reversed.reverse();
        prop_assert_eq!(outcome(&list, &request), outcome(&reversed, &request));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
        let _ = PolicyDocument::parse(&text, PolicyKind::Identity);
        let _ = PolicyDocument::parse(&document(json!({"Effect": "Allow", "Action": text, "Resource": text})).to_string(), PolicyKind::Identity);
    }
}
