//! Our evaluation of policies agrees with a slow and obvious one, over random policies, sessions and requests.

mod policies;
mod policy_reference;

use hearth_coordinator_core::policy::{Context, Decision, PolicyDocument, Request, Source, evaluate};
use policies::{document, identity, job_role, user};
use policy_reference::Asked;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A kind of condition: its operators, what policies compare with, and what requests bring.
struct Kind {
    key: &'static str,
    operators: &'static [&'static str],
    wanted: &'static [&'static str],
    given: &'static [&'static str],
}

const KINDS: [Kind; 8] = [
    Kind {
        key: "aws:ResourceTag/team",
        operators: &[
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
        ],
        wanted: &[
            "data",
            "d*a",
            "DATA",
            "?ata",
            "${aws:PrincipalTag/team}",
            "${aws:absent, 'data'}",
            "${aws:absent}",
        ],
        given: &["data", "Data", "web", "d*a", ""],
    },
    Kind {
        key: "aws:TagKeys",
        operators: &["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"],
        wanted: &["team", "cost", "t*", "${aws:username}"],
        given: &["team", "cost", "ann", "x"],
    },
    Kind {
        key: "aws:PrincipalArn",
        operators: &["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
        wanted: &[
            "arn:aws:iam::000000000000:user/ann",
            "arn:aws:iam::*:user/*",
            "arn:aws:iam::*:role/*",
            "arn:aws:iam::000000000000:user/${aws:username}",
            "arn:aws:iam:*:user/ann",
        ],
        given: &[],
    },
    Kind {
        key: "aws:SecureTransport",
        operators: &["Bool"],
        wanted: &["true", "false", "True"],
        given: &["true", "false"],
    },
    Kind {
        key: "aws:SourceIp",
        operators: &["IpAddress", "NotIpAddress"],
        wanted: &["192.0.2.0/24", "192.0.2.128/25", "192.0.2.7", "0.0.0.0/0"],
        given: &["192.0.2.7", "192.0.2.200", "198.51.100.1"],
    },
    Kind {
        key: "aws:CurrentTime",
        operators: &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        wanted: &["2026-01-01T00:00:00Z", "2026-06-30T23:59:59Z"],
        given: &[
            "2025-12-31T23:59:59Z",
            "2026-01-01T00:00:00Z",
            "2026-06-30T23:59:59Z",
            "2027-01-01T00:00:00Z",
        ],
    },
    Kind {
        key: "s3:max-keys",
        operators: &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        wanted: &["10", "100", "-1"],
        given: &["9", "10", "100", "ten"],
    },
    Kind { key: "s3:prefix", operators: &["Null"], wanted: &["true", "false"], given: &["a/"] },
];

/// One thing, or a list of up to two.
fn one_or_more(of: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![select(of).prop_map(Value::from), vec(select(of), 1..3).prop_map(Value::from)]
}

fn conditions() -> impl Strategy<Value = Value> {
    let one = (0..KINDS.len()).prop_flat_map(|at| {
        let kind = &KINDS[at];
        let quantifier = select(vec!["", "", "ForAnyValue:", "ForAllValues:"]);
        let suffix = select(vec!["", "", "IfExists"]);
        (quantifier, select(kind.operators), suffix, one_or_more(kind.wanted)).prop_map(
            |(quantifier, operator, suffix, wanted)| match operator {
                "Null" => (operator.to_owned(), kind.key, wanted),
                _ => (format!("{quantifier}{operator}{suffix}"), kind.key, wanted),
            },
        )
    });
    vec(one, 0..3).prop_map(|conditions| {
        let mut element = Map::new();
        for (operator, key, wanted) in conditions {
            element.entry(operator).or_insert_with(|| json!({}))[key] = wanted;
        }
        Value::Object(element)
    })
}

fn statements() -> impl Strategy<Value = Value> {
    (
        select(vec!["Allow", "Allow", "Deny"]),
        select(vec!["Action", "Action", "NotAction"]),
        one_or_more(&["*", "s3:*", "s3:Get*", "S3:getobject", "s3:PutObject", "s3:???Object", "iam:*"]),
        select(vec!["Resource", "Resource", "NotResource"]),
        one_or_more(&[
            "*",
            "arn:aws:s3:::a/*",
            "arn:aws:s3:::?/y",
            "arn:aws:s3:::a/${aws:username}/*",
            "arn:aws:s3:::a/${aws:absent}",
            "arn:aws:*:::b/${*}",
            "arn:aws:s3:*",
        ]),
        conditions(),
    )
        .prop_map(|(effect, action_name, action, resource_name, resource, condition)| {
            json!({"Effect": effect, action_name: action, resource_name: resource, "Condition": condition})
        })
}

/// So many lists of statements.
fn policies_of(most: usize) -> impl Strategy<Value = Vec<Value>> {
    vec(vec(statements(), 1..4).prop_map(Value::from), 0..=most)
}

/// What a request brings of each kind: nothing, one value or, of tag keys, several.
fn known() -> impl Strategy<Value = BTreeMap<&'static str, Vec<String>>> {
    KINDS
        .iter()
        .filter(|kind| !kind.given.is_empty())
        .map(|kind| {
            let most = if kind.key == "aws:TagKeys" { 3 } else { 2 };
            vec(select(kind.given).prop_map(str::to_owned), 0..most).prop_map(|values| (kind.key, values))
        })
        .collect::<Vec<_>>()
        .prop_map(|known| known.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn we_decide_as_the_reference_does(
        own in policies_of(3),
        session in prop::option::of(policies_of(2)),
        action in select(vec!["s3:GetObject", "s3:PutObject", "iam:GetUser"]),
        resource in select(vec![
            "arn:aws:s3:::a/x", "arn:aws:s3:::a/ann/x", "arn:aws:s3:::b/y", "arn:aws:s3:::b/*", "arn:aws:s3:::a/x:y",
        ]),
        known in known(),
        is_user in any::<bool>(),
    ) {
        let (caller, described) = if is_user {
            (user("ann"), vec![
                ("aws:username", "ann"),
                ("aws:principaltag/team", "data"),
                ("aws:principalarn", "arn:aws:iam::000000000000:user/ann"),
            ])
        } else {
            (job_role(), vec![("aws:principalarn", "arn:aws:iam::000000000000:role/job")])
        };
        let mut context = Context::new();
        let described = described.into_iter().map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
        let mut keys: BTreeMap<String, Vec<String>> = described.collect();
        for (key, values) in known {
            context.set_all(key, values.clone());
            keys.insert(key.to_lowercase(), values);
        }
        let request = Request { caller: &caller, action, resource, context: &context };

        let read = |policies: &[Value]| policies.iter().cloned().map(identity).collect::<Vec<_>>();
        let (own_read, session_read) = (read(&own), session.as_deref().map(read));
        let own_read: Vec<&PolicyDocument> = own_read.iter().collect();
        let session_read: Option<Vec<&PolicyDocument>> = session_read.as_ref().map(|list| list.iter().collect());
        let ours = match evaluate(&request, &own_read, session_read.as_deref()) {
            Decision::Allowed => "allowed",
            Decision::ExplicitDeny(Source::Identity) => "denied by the caller's policies",
            Decision::ExplicitDeny(Source::Session) => "denied by the session's policies",
            Decision::ImplicitDeny(Source::Identity) => "not allowed by the caller's policies",
            Decision::ImplicitDeny(Source::Session) => "not allowed by the session's policies",
        };

        let whole = |policies: &[Value]| policies.iter().cloned().map(document).collect::<Vec<_>>();
        let asked = Asked { action, resource, keys: &keys };
        let expected = policy_reference::decide(&asked, &whole(&own), session.as_deref().map(whole).as_deref());
        prop_assert_eq!(ours, expected);
    }
}
