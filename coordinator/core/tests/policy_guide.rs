//! The policies that the reference guide prints (guide:528-780, guide:7235-8250), each as one of the same structure with
//! names of our own: it is accepted, and does what it says.

mod policies;

use hearth_coordinator_core::policy::{
    Caller, Context, PolicyDocument, PolicyKind, Request, TrustDecision, evaluate, evaluate_trust,
};
use policies::{identity, job_role, read, user};
use serde_json::{Value, json};

const APPLICATION: &str = "arn:aws:emr-serverless:us-east-1:000000000000:/applications/00f";
const ALL: &str = "*";
const LINKED: &str =
    "arn:aws:iam::000000000000:role/aws-service-role/ops.emr-serverless.amazonaws.com/Linked";
const LINKED_PATTERN: &str = "arn:aws:iam::*:role/aws-service-role/ops.emr-serverless.amazonaws.com/Linked*";
const OPS: &str = "ops.emr-serverless.amazonaws.com";

/// One request to a policy: what is known of it, what it asks for, and whether it may.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, bool);

fn may(caller: &Caller, policy: &PolicyDocument, (known, action, resource, _): &Case<'_>) -> bool {
    let context = known.iter().fold(Context::new(), |context, (key, value)| context.with(key, *value));
    evaluate(&Request { caller, action, resource, context: &context }, &[policy], None).is_allowed()
}

fn check(statements: Value, cases: &[Case<'_>]) {
    let policy = identity(statements.clone());
    for case in cases {
        assert_eq!(may(&user("ann"), &policy, case), case.3, "{statements} {case:?}");
    }
}

fn check_trust(statements: Value, trusted: &str) {
    let policy = read(statements, PolicyKind::Trust);
    for name in ["emr-serverless.amazonaws.com", OPS] {
        let (caller, context) = (Caller::Service { name: name.to_owned() }, Context::new());
        let request =
            Request { caller: &caller, action: "sts:AssumeRole", resource: LINKED, context: &context };
        let expected = if name == trusted { TrustDecision::Allowed } else { TrustDecision::ImplicitDeny };
        assert_eq!(evaluate_trust(&request, &policy), expected, "{name}");
        let request = Request { caller: &job_role(), ..request };
        assert_eq!(evaluate_trust(&request, &policy), TrustDecision::ImplicitDeny);
    }
}

#[test]
fn runtime_roles_trust_the_service() {
    // guide:571 and guide:661
    check_trust(
        json!([{"Effect": "Allow", "Principal": {"Service": "emr-serverless.amazonaws.com"}, "Action": "sts:AssumeRole"}]),
        "emr-serverless.amazonaws.com",
    );
    check_trust(
        json!([{"Sid": "Jobs", "Action": "sts:AssumeRole", "Effect": "Allow",
            "Principal": {"Service": "emr-serverless.amazonaws.com"}}]),
        "emr-serverless.amazonaws.com",
    );
    // guide:7603, a list of one
    check_trust(
        json!([{"Effect": "Allow", "Principal": {"Service": [OPS]}, "Action": "sts:AssumeRole"}]),
        OPS,
    );
}

#[test]
fn runtime_roles_reach_their_buckets_and_the_catalogue() {
    // guide:590 prints S3's ARNs with a colon missing, guide:700 and guide:7714 the second statement's with all of them.
    for colons in [":::", "::"] {
        check(
            json!([
                {
                    "Sid": "Samples", "Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
                    "Resource": [format!("arn:aws:s3{colons}*.elasticmapreduce"), format!("arn:aws:s3{colons}*.elasticmapreduce/*")]
                },
                {
                    "Sid": "Output", "Effect": "Allow", "Action": ["s3:PutObject", "s3:DeleteObject"],
                    "Resource": [format!("arn:aws:s3{colons}out"), format!("arn:aws:s3{colons}out/*")]
                },
                {
                    "Sid": "Catalogue", "Effect": "Allow", "Resource": ["*"],
                    "Action": ["glue:GetTable", "glue:GetDataBases", "glue>DeleteTable"]
                },
            ]),
            &[
                (&[], "s3:GetObject", "arn:aws:s3:::us-east-1.elasticmapreduce/a/b.py", true),
                (&[], "s3:ListBucket", "arn:aws:s3:::us-east-1.elasticmapreduce", true),
                (&[], "s3:PutObject", "arn:aws:s3:::us-east-1.elasticmapreduce/a", false),
                (&[], "s3:PutObject", "arn:aws:s3:::out/result/part-0", true),
                (&[], "s3:PutObject", "arn:aws:s3:::outer/result", false),
                (&[], "s3:GetObject", "arn:aws:s3:::out/result", false),
                (&[], "glue:GetDatabases", "arn:aws:glue:us-east-1:000000000000:catalog", true),
                (&[], "glue:DeleteTable", "arn:aws:glue:us-east-1:000000000000:catalog", true),
                (&[], "glue:DeleteDatabase", "arn:aws:glue:us-east-1:000000000000:catalog", false),
            ],
        );
    }
}

#[test]
fn service_linked_roles_are_handled_for_their_service_alone() {
    // guide:7559: a condition on one statement of two
    check(
        json!([
            {"Sid": "Network", "Effect": "Allow", "Action": ["ec2:DescribeVpcs", "ec2>DeleteNetworkInterface"], "Resource": "*"},
            {"Sid": "Metrics", "Effect": "Allow", "Action": ["cloudwatch:PutMetricData"], "Resource": ["*"],
             "Condition": {"StringEquals": {"cloudwatch:namespace": ["Ours/Jobs", "Ours/Usage"]}}},
        ]),
        &[
            (&[], "ec2:DescribeVpcs", ALL, true),
            (&[], "ec2:DeleteNetworkInterface", ALL, true),
            (&[], "cloudwatch:PutMetricData", ALL, false),
            (&[("cloudwatch:namespace", "Ours/Usage")], "cloudwatch:PutMetricData", ALL, true),
            (&[("cloudwatch:namespace", "Theirs")], "cloudwatch:PutMetricData", ALL, false),
        ],
    );
    // guide:7628, guide:7651 (with a blank in the action) and guide:7679
    let of_ops: &[(&str, &str)] = &[("iam:AWSServiceName", OPS)];
    check(
        json!([{"Effect": "Allow", "Resource": LINKED_PATTERN,
            "Action": ["iam:CreateServiceLinkedRole", "iam: UpdateRoleDescription", "iam:DeleteServiceLinkedRole"],
            "Condition": {"StringLike": {"iam:AWSServiceName": OPS}}}]),
        &[
            (of_ops, "iam:CreateServiceLinkedRole", LINKED, true),
            (of_ops, "iam:UpdateRoleDescription", LINKED, true),
            (of_ops, "iam:DeleteServiceLinkedRole", LINKED, true),
            (of_ops, "iam:DeleteRole", LINKED, false),
            (of_ops, "iam:CreateServiceLinkedRole", "arn:aws:iam::000000000000:role/Linked", false),
            (&[], "iam:CreateServiceLinkedRole", LINKED, false),
            (&[("iam:AWSServiceName", "other.amazonaws.com")], "iam:UpdateRoleDescription", LINKED, false),
        ],
    );
    // guide:7906, the role itself and without a condition
    check(
        json!([{"Sid": "Linked", "Effect": "Allow", "Action": "iam:CreateServiceLinkedRole", "Resource": LINKED}]),
        &[
            (&[], "iam:CreateServiceLinkedRole", LINKED, true),
            (&[], "iam:CreateServiceLinkedRole", &format!("{LINKED}2"), false),
        ],
    );
}

#[test]
fn users_pass_the_roles_that_were_approved() {
    // guide:7784
    let role = "arn:aws:iam::000000000000:role/jobs";
    check(
        json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": role,
            "Condition": {"StringLike": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}}),
        &[
            (&[("iam:PassedToService", "emr-serverless.amazonaws.com")], "iam:PassRole", role, true),
            (&[("iam:PassedToService", "ec2.amazonaws.com")], "iam:PassRole", role, false),
            (
                &[("iam:PassedToService", "emr-serverless.amazonaws.com")],
                "iam:PassRole",
                "arn:aws:iam::000000000000:role/other",
                false,
            ),
        ],
    );
}

#[test]
fn power_users_change_what_engineers_only_use() {
    // guide:7817
    check(
        json!([{"Sid": "Power", "Effect": "Allow", "Resource": "*",
            "Action": ["emr-serverless:CreateApplication", "emr-serverless>DeleteApplication", "emr-serverless:StartJobRun"]}]),
        &[
            (&[], "emr-serverless:CreateApplication", ALL, true),
            (&[], "emr-serverless:DeleteApplication", APPLICATION, true),
            (&[], "emr-serverless:StartJobRun", APPLICATION, true),
            (&[], "emr-serverless:TagResource", APPLICATION, false),
        ],
    );
    // guide:7920
    check(
        json!([{"Sid": "Engineer", "Effect": "Allow", "Resource": "*",
            "Action": ["emr-serverless:GetApplication", "emr-serverless:StartJobRun", "emr-serverless:CancelJobRun"]}]),
        &[
            (&[], "emr-serverless:GetApplication", APPLICATION, true),
            (&[], "emr-serverless:CancelJobRun", &format!("{APPLICATION}/jobruns/00r"), true),
            (&[], "emr-serverless:DeleteApplication", APPLICATION, false),
        ],
    );
}

#[test]
fn interfaces_are_made_on_behalf_of_the_service_and_in_tagged_networks() {
    // guide:7849
    let interface = "arn:aws:ec2:us-east-1:000000000000:network-interface/eni-1";
    check(
        json!([{"Sid": "Interfaces", "Effect": "Allow", "Action": ["ec2:CreateNetworkInterface"],
            "Resource": ["arn:aws:ec2:*:*:network-interface/*"],
            "Condition": {"StringEquals": {"aws:CalledViaLast": OPS}}}]),
        &[
            (&[("aws:CalledViaLast", OPS)], "ec2:CreateNetworkInterface", interface, true),
            (&[], "ec2:CreateNetworkInterface", interface, false),
        ],
    );
    // guide:7878
    let subnet = "arn:aws:ec2:us-east-1:000000000000:subnet/s-1";
    check(
        json!([{"Sid": "Subnets", "Effect": "Allow", "Action": ["ec2:CreateNetworkInterface"],
            "Resource": ["arn:aws:ec2:*:*:subnet/*", "arn:aws:ec2:*:*:security-group/*"],
            "Condition": {"StringEquals": {"aws:ResourceTag/for": "jobs"}}}]),
        &[
            (&[("aws:ResourceTag/for", "jobs")], "ec2:CreateNetworkInterface", subnet, true),
            (&[("aws:ResourceTag/for", "web")], "ec2:CreateNetworkInterface", subnet, false),
            (&[("aws:ResourceTag/for", "jobs")], "ec2:CreateNetworkInterface", interface, false),
        ],
    );
}

#[test]
fn tags_decide_what_may_be_used_made_and_tagged() {
    const TAG: &str = "emr-serverless:ResourceTag/unit";
    // guide:7955
    check(
        json!([{"Sid": "Team", "Effect": "Allow", "Resource": "*",
            "Action": ["emr-serverless:ListApplications", "emr-serverless:StartJobRun"],
            "Condition": {"StringEquals": {"aws:ResourceTag/Crew": "north"}}}]),
        &[
            (&[("aws:ResourceTag/Crew", "north")], "emr-serverless:StartJobRun", APPLICATION, true),
            (&[("aws:ResourceTag/Crew", "south")], "emr-serverless:StartJobRun", APPLICATION, false),
            (&[], "emr-serverless:StartJobRun", APPLICATION, false),
            // There is no resource that could be tagged.
            (&[], "emr-serverless:ListApplications", ALL, false),
        ],
    );
    // guide:8001 with one value, guide:8025 with several
    for (values, with_spare) in [(json!("lab"), false), (json!(["lab", "spare"]), true)] {
        check(
            json!([{"Effect": "Allow", "Action": ["emr-serverless:GetApplication"], "Resource": "*",
                "Condition": {"StringEquals": {TAG: values}}}]),
            &[
                (&[(TAG, "lab")], "emr-serverless:GetApplication", APPLICATION, true),
                (&[(TAG, "spare")], "emr-serverless:GetApplication", APPLICATION, with_spare),
                (&[(TAG, "live")], "emr-serverless:GetApplication", APPLICATION, false),
                (&[], "emr-serverless:GetApplication", APPLICATION, false),
            ],
        );
    }
    // guide:8040: a tag of this value; guide:8062: a tag of any value
    const NEW: &str = "emr-serverless:RequestTag/unit";
    for (condition, with_any) in
        [(json!({"StringEquals": {NEW: "lab"}}), false), (json!({"Null": {NEW: "false"}}), true)]
    {
        check(
            json!([{"Effect": "Allow", "Action": ["emr-serverless:CreateApplication"], "Resource": "*",
                "Condition": condition}]),
            &[
                (&[(NEW, "lab")], "emr-serverless:CreateApplication", ALL, true),
                (&[(NEW, "live")], "emr-serverless:CreateApplication", ALL, with_any),
                (&[], "emr-serverless:CreateApplication", ALL, false),
            ],
        );
    }
    // guide:8092: what has another tag, or none, is not tagged
    check(
        json!([
            {"Effect": "Allow", "Action": "emr-serverless:*", "Resource": "*"},
            {"Effect": "Deny", "Action": ["emr-serverless:TagResource", "emr-serverless:UntagResource"], "Resource": "*",
             "Condition": {"StringNotEquals": {TAG: "lab"}}},
        ]),
        &[
            (&[(TAG, "lab")], "emr-serverless:TagResource", APPLICATION, true),
            (&[(TAG, "live")], "emr-serverless:TagResource", APPLICATION, false),
            (&[], "emr-serverless:UntagResource", APPLICATION, false),
            (&[], "emr-serverless:StartJobRun", APPLICATION, true),
        ],
    );
}

#[test]
fn users_look_at_themselves() {
    // guide:8150
    let statements = json!([
        {"Sid": "Self", "Effect": "Allow", "Action": ["iam:GetUser", "iam:ListUserPolicies"],
         "Resource": ["arn:aws:iam::*:user/${aws:username}"]},
        {"Sid": "Look", "Effect": "Allow", "Action": ["iam:GetPolicyVersion", "iam:ListUsers"], "Resource": "*"},
    ]);
    let own = "arn:aws:iam::000000000000:user/ann";
    check(
        statements.clone(),
        &[
            (&[], "iam:GetUser", own, true),
            (&[], "iam:ListUserPolicies", "arn:aws:iam::000000000000:user/bob", false),
            (&[], "iam:ListUsers", "arn:aws:iam::000000000000:user/", true),
            (&[], "iam:DeleteUser", own, false),
        ],
    );
    // A session of a role has no user name.
    let policy = identity(statements);
    assert!(!may(&job_role(), &policy, &(&[], "iam:GetUser", "arn:aws:iam::000000000000:user/", false)));
}
