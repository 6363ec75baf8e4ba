"""A team of four, set up with `aws iam` as its administrator would: each can do exactly what it should.

docs/identity.md prints these policies for administrators to start from.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from lab import RELEASE, aws_of, client_of

ACCOUNT = "000000000000"
BUCKET = "team-data"
JOB_ROLE = f"arn:aws:iam::{ACCOUNT}:role/team-job"
AUDITOR_ROLE = f"arn:aws:iam::{ACCOUNT}:role/auditor"
OWN_TEAM = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
PASS_ROLE = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": JOB_ROLE,
             "Condition": {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(actions, resource="*", condition=None):
    return {"Effect": "Allow", "Action": actions, "Resource": resource} | ({"Condition": condition} if condition else {})


# Everything with what is the team's, and the tag that says so stays as it is.
ENGINEER = policy(
    allow("emr-serverless:*", condition=OWN_TEAM),
    allow("emr-serverless:ListApplications"),
    allow("emr-serverless:CreateApplication",
          condition={"StringEquals": {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}}),
    {"Effect": "Deny", "Action": ["emr-serverless:TagResource", "emr-serverless:UntagResource"], "Resource": "*",
     "Condition": {"ForAnyValue:StringEqualsIgnoreCase": {"aws:TagKeys": "team"}}},
    allow("s3:*", [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]),
    PASS_ROLE)
# Job runs on the team's applications, tagged as the team's; those can be watched and cancelled.
SUBMITTER = policy(
    allow("emr-serverless:StartJobRun", condition={"StringEquals": {
        "aws:ResourceTag/team": "${aws:PrincipalTag/team}", "aws:RequestTag/team": "${aws:PrincipalTag/team}"}}),
    allow(["emr-serverless:GetApplication", "emr-serverless:GetJobRun", "emr-serverless:CancelJobRun"], condition=OWN_TEAM),
    PASS_ROLE)
# A role, for an hour at a time: looks at everything but data.
AUDITOR = policy(allow(["emr-serverless:Get*", "emr-serverless:List*", "iam:Get*", "iam:List*"]))


def trusting(principal, condition=None):
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition or {}})


def as_keys(shown):
    """An access key or temporary credentials, as the CLI prints them, for the environment."""
    keys = {"AWS_ACCESS_KEY_ID": shown["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": shown["SecretAccessKey"]}
    return keys | ({"AWS_SESSION_TOKEN": shown["SessionToken"]} if "SessionToken" in shown else {})


class Member:
    """One of the team, with clients of its own."""

    def __init__(self, hearth, keys):
        self.keys = keys
        self.emr, self.iam, self.sts = (client_of(hearth, name, keys) for name in ("emr-serverless", "iam", "sts"))
        self.s3 = client_of(hearth, "s3", keys, s3={"addressing_style": "path"})


@pytest.fixture(scope="module")
def team(hearth):
    """The four, by what they are."""
    def new_user(aws, name, *options):
        aws("iam", "create-user", "--user-name", name, *options)
        return json.loads(aws("iam", "create-access-key", "--user-name", name).stdout)["AccessKey"]

    root = aws_of(hearth)
    administrator = as_keys(new_user(root, "ada"))
    root("iam", "attach-user-policy", "--user-name", "ada", "--policy-arn", "arn:aws:iam::aws:policy/AdministratorAccess")
    aws = aws_of(hearth, administrator)
    of_data = ("--tags", "Key=team,Value=data")

    def engineer():
        made = aws("iam", "create-policy", "--policy-name", "engineers", "--policy-document", ENGINEER)
        keys = new_user(aws, "egon", *of_data)
        aws("iam", "attach-user-policy", "--user-name", "egon", "--policy-arn", json.loads(made.stdout)["Policy"]["Arn"])
        return as_keys(keys)

    def submitter():
        keys = new_user(aws, "sue", *of_data)
        aws("iam", "put-user-policy", "--user-name", "sue", "--policy-name", "submit", "--policy-document", SUBMITTER)
        return as_keys(keys)

    def auditor():
        keys = as_keys(new_user(aws, "otto"))
        aws("iam", "create-role", "--role-name", "auditor", "--assume-role-policy-document",
            trusting({"AWS": f"arn:aws:iam::{ACCOUNT}:user/otto"}))
        aws("iam", "put-role-policy", "--role-name", "auditor", "--policy-name", "look", "--policy-document", AUDITOR)
        assumed = aws_of(hearth, keys)("sts", "assume-role", "--role-arn", AUDITOR_ROLE, "--role-session-name", "audit")
        return as_keys(json.loads(assumed.stdout)["Credentials"])

    def job_role():
        aws("iam", "create-role", "--role-name", "team-job", "--assume-role-policy-document",
            trusting({"Service": "emr-serverless.amazonaws.com"},
                     {"ArnLike": {"aws:SourceArn": f"arn:aws:emr-serverless:*:{ACCOUNT}:/applications/*"}}))

    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(make) for make in (engineer, submitter, auditor, job_role)]
        keys = [administrator, *(one.result() for one in made[:3])]
        made[3].result()
    names = ("administrator", "engineer", "submitter", "auditor")
    return {name: Member(hearth, keys) for name, keys in zip(names, keys)}


@pytest.fixture(scope="module")
def applications(team):
    """One of the team, one of another team."""
    made = {}
    for owner in ("data", "web"):
        answer = team["administrator"].emr.create_application(
            name=f"{owner}-jobs", releaseLabel=RELEASE, type="SPARK", tags={"team": owner})
        made[owner] = answer["applicationId"]
    return made


def is_allowed(call):
    """Whether a call is let through."""
    try:
        call()
    except ClientError as refused:
        if refused.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"):
            return False
        raise
    return True


def test_each_member_can_do_exactly_what_it_should(team, applications):
    root = team["administrator"]
    root.s3.create_bucket(Bucket=BUCKET)
    root.s3.put_object(Bucket=BUCKET, Key="job.py", Body=b"print('done')")
    data, web = applications["data"], applications["web"]
    data_arn = f"arn:aws:emr-serverless:us-east-1:{ACCOUNT}:/applications/{data}"

    def start(member, application, role=JOB_ROLE, **request):
        return member.emr.start_job_run(
            applicationId=application, executionRoleArn=role, **request,
            jobDriver={"sparkSubmit": {"entryPoint": f"s3://{BUCKET}/job.py"}})["jobRunId"]

    def cancel(member, application, job):
        member.emr.cancel_job_run(applicationId=application, jobRunId=job)

    def started(member, application, **request):
        """Starts a job run, which is not to run: what is tried is whether it may be started."""
        job = start(member, application, **request)
        cancel(root, application, job)
        return job

    def cancelled(member, application):
        job = start(root, application, tags={"team": "data"})
        try:
            cancel(member, application, job)
        except ClientError:
            cancel(root, application, job)
            raise

    of_team = {"applicationId": data, "jobRunId": started(team["submitter"], data, tags={"team": "data"})}
    new = {"releaseLabel": RELEASE, "type": "SPARK"}
    # What is tried, and who may: in the order of `team`.
    promises = [
        ("GetCallerIdentity", "yyyy", lambda one, _: one.sts.get_caller_identity()),
        ("assume the job role", "nnnn",
         lambda one, _: one.sts.assume_role(RoleArn=JOB_ROLE, RoleSessionName="me")),
        ("ListUsers", "ynny", lambda one, _: one.iam.list_users()),
        ("CreateUser", "ynnn", lambda one, name: one.iam.create_user(UserName=f"guest-of-{name}")),
        ("read a policy", "ynny", lambda one, _: one.iam.get_user_policy(UserName="sue", PolicyName="submit")),
        ("give somebody everything", "ynnn", lambda one, _: one.iam.attach_user_policy(
            UserName="otto", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")),
        ("take it away again", "ynnn", lambda one, _: one.iam.detach_user_policy(
            UserName="otto", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")),
        ("ListApplications", "yyny", lambda one, _: one.emr.list_applications()),
        ("look at the team's application", "yyyy", lambda one, _: one.emr.get_application(applicationId=data)),
        ("look at another team's application", "ynny", lambda one, _: one.emr.get_application(applicationId=web)),
        ("create an application of the team", "yynn",
         lambda one, _: one.emr.create_application(**new, tags={"team": "data"})),
        ("create an application of another team", "ynnn",
         lambda one, _: one.emr.create_application(**new, tags={"team": "web"})),
        ("create an application of nobody", "ynnn", lambda one, _: one.emr.create_application(**new)),
        ("change the team's application", "yynn",
         lambda one, _: one.emr.update_application(applicationId=data, autoStopConfiguration={"enabled": False})),
        ("change another team's application", "ynnn",
         lambda one, _: one.emr.update_application(applicationId=web, autoStopConfiguration={"enabled": False})),
        ("tag the team's application", "yynn", lambda one, _: one.emr.tag_resource(resourceArn=data_arn, tags={"cost": "7"})),
        ("change the tag of the team", "ynnn",
         lambda one, _: one.emr.tag_resource(resourceArn=data_arn, tags={"cost": "7", "team": "data"})),
        ("change it in capitals", "ynnn",
         lambda one, _: one.emr.untag_resource(resourceArn=data_arn, tagKeys=["TEAM"])),
        ("start a job run of the team", "yyyn", lambda one, _: started(one, data, tags={"team": "data"})),
        ("start a job run of nobody", "yynn", lambda one, _: started(one, data)),
        ("start a job run on another team's application", "ynnn",
         lambda one, _: started(one, web, tags={"team": "data"})),
        ("start a job run as another role", "ynnn", lambda one, _: started(
            one, data, role=f"arn:aws:iam::{ACCOUNT}:role/hearth-job", tags={"team": "data"})),
        ("watch the team's job run", "yyyy", lambda one, _: one.emr.get_job_run(**of_team)),
        ("list the team's job runs", "yyny", lambda one, _: one.emr.list_job_runs(applicationId=data)),
        ("read the team's data", "yynn", lambda one, _: one.s3.get_object(Bucket=BUCKET, Key="job.py")),
        ("read other data", "ynnn", lambda one, _: one.s3.list_objects_v2(Bucket="hearth")),
        ("cancel the team's job run", "yyyn", lambda one, _: cancelled(one, data)),
    ]
    found = {
        what: "".join("y" if is_allowed(lambda: attempt(one, name)) else "n" for name, one in team.items())
        for what, _, attempt in promises}
    assert found == {what: promised for what, promised, _ in promises}


def test_a_session_is_bound_by_the_policy_it_was_made_with(team, hearth):
    otto = team["administrator"].iam.create_access_key(UserName="otto")["AccessKey"]
    sts = client_of(hearth, "sts", as_keys(otto))
    narrow = sts.assume_role(RoleArn=AUDITOR_ROLE, RoleSessionName="narrow", Policy=policy(allow("emr-serverless:List*")))
    bound = Member(hearth, as_keys(narrow["Credentials"]))
    assert is_allowed(bound.emr.list_applications)
    assert not is_allowed(bound.iam.list_users), "the role may, its session may not"
    assert not is_allowed(bound.s3.list_buckets)
    # Credentials of `GetSessionToken` are the user's, but make no lasting keys.
    lent = Member(hearth, as_keys(sts.get_session_token()["Credentials"]))
    assert is_allowed(lambda: lent.sts.assume_role(RoleArn=AUDITOR_ROLE, RoleSessionName="lent"))
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        lent.iam.list_users()


def test_keys_are_rotated_without_a_moment_that_has_none(team, hearth):
    iam = team["administrator"].iam
    iam.create_user(UserName="robot")
    iam.put_user_policy(UserName="robot", PolicyName="look", PolicyDocument=policy(allow("emr-serverless:ListApplications")))
    old = iam.create_access_key(UserName="robot")["AccessKey"]
    assert iam.get_access_key_last_used(AccessKeyId=old["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    client_of(hearth, "emr-serverless", as_keys(old)).list_applications()
    used = iam.get_access_key_last_used(AccessKeyId=old["AccessKeyId"])
    assert (used["UserName"], used["AccessKeyLastUsed"]["ServiceName"]) == ("robot", "emr-serverless")

    new = iam.create_access_key(UserName="robot")["AccessKey"]
    with pytest.raises(iam.exceptions.LimitExceededException):
        iam.create_access_key(UserName="robot")
    listed = iam.list_access_keys(UserName="robot")["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in listed] == [old["AccessKeyId"], new["AccessKeyId"]]
    assert not any("SecretAccessKey" in key for key in listed), "a secret is told once"
    iam.update_access_key(UserName="robot", AccessKeyId=old["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client_of(hearth, "emr-serverless", as_keys(old)).list_applications()
    client_of(hearth, "emr-serverless", as_keys(new)).list_applications()
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_user(UserName="robot")
    for key in (old, new):
        iam.delete_access_key(UserName="robot", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="robot", PolicyName="look")
    iam.delete_user(UserName="robot")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="robot")
