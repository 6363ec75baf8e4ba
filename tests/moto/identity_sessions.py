"""What is asked of both about users, roles and policies."""

import json

TRUST = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "emr-serverless.amazonaws.com"}}]}
LOOK = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["emr-serverless:Get*", "emr-serverless:List*"], "Resource": "*"}]}
START = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "emr-serverless:StartJobRun", "Resource": "*"}]}
NOT_A_POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps", "Action": "s3:*", "Resource": "*"}]})
TAGS = [{"Key": "team", "Value": "data"}]


def a_users_life(ask):
    ada = {"UserName": "ada"}
    ask("create user", "create_user", **ada, Path="/team/", Tags=TAGS)
    ask("create user again", "create_user", **ada)
    ask("get user", "get_user", **ada)
    ask("list users", "list_users", PathPrefix="/team/")
    ask("tag user", "tag_user", **ada, Tags=[{"Key": "cost", "Value": "7"}])
    ask("untag user", "untag_user", **ada, TagKeys=["team", "absent"])
    ask("list user's tags", "list_user_tags", **ada)
    key = ask("create key", "create_access_key", **ada)["AccessKey"]["AccessKeyId"]
    ask("switch key off", "update_access_key", **ada, AccessKeyId=key, Status="Inactive")
    ask("list keys", "list_access_keys", **ada)
    ask("last use of key", "get_access_key_last_used", AccessKeyId=key)
    second = ask("create second key", "create_access_key", **ada)["AccessKey"]["AccessKeyId"]
    ask("create third key", "create_access_key", **ada)
    ask("put user's policy", "put_user_policy", **ada, PolicyName="look", PolicyDocument=json.dumps(LOOK))
    ask("put what is no policy", "put_user_policy", **ada, PolicyName="bad", PolicyDocument=NOT_A_POLICY)
    ask("get user's policy", "get_user_policy", **ada, PolicyName="look")
    ask("get user's other policy", "get_user_policy", **ada, PolicyName="other")
    ask("list user's policies", "list_user_policies", **ada)
    ask("list user's groups", "list_groups_for_user", **ada)
    ask("delete user with all", "delete_user", **ada)
    ask("delete user's policy", "delete_user_policy", **ada, PolicyName="look")
    for number, one in enumerate((key, second)):
        ask(f"delete key {number}", "delete_access_key", **ada, AccessKeyId=one)
    ask("delete key again", "delete_access_key", **ada, AccessKeyId=key)
    ask("delete user", "delete_user", **ada)
    ask("get deleted user", "get_user", **ada)
    ask("create key of nobody", "create_access_key", **ada)


def a_roles_life(ask):
    job = {"RoleName": "nightly"}
    ask("create role", "create_role", **job, AssumeRolePolicyDocument=json.dumps(TRUST), Description="of jobs", Tags=TAGS,
        MaxSessionDuration=7200)
    ask("create role again", "create_role", **job, AssumeRolePolicyDocument=json.dumps(TRUST))
    ask("create role of no trust", "create_role", RoleName="other", AssumeRolePolicyDocument=NOT_A_POLICY)
    ask("get role", "get_role", **job)
    ask("update role", "update_role", **job, Description="of nightly jobs", MaxSessionDuration=3600)
    ask("get updated role", "get_role", **job)
    ask("tag role", "tag_role", **job, Tags=[{"Key": "cost", "Value": "7"}])
    ask("list role's tags", "list_role_tags", **job)
    ask("put role's policy", "put_role_policy", **job, PolicyName="look", PolicyDocument=json.dumps(LOOK))
    ask("get role's policy", "get_role_policy", **job, PolicyName="look")
    ask("list role's policies", "list_role_policies", **job)
    ask("delete role with policy", "delete_role", **job)
    ask("delete role's policy", "delete_role_policy", **job, PolicyName="look")
    ask("delete role's policy again", "delete_role_policy", **job, PolicyName="look")
    ask("list role's profiles", "list_instance_profiles_for_role", **job)
    ask("delete role", "delete_role", **job)
    ask("get deleted role", "get_role", **job)


def a_managed_policys_life(ask):
    ask("create reader", "create_role", RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST))
    arn = ask("create policy", "create_policy", PolicyName="jobs", PolicyDocument=json.dumps(LOOK), Description="looks")["Policy"]["Arn"]
    it = {"PolicyArn": arn}
    ask("create policy again", "create_policy", PolicyName="jobs", PolicyDocument=json.dumps(LOOK))
    ask("create what is no policy", "create_policy", PolicyName="bad", PolicyDocument=NOT_A_POLICY)
    ask("attach policy", "attach_role_policy", **it, RoleName="reader")
    ask("attach no policy", "attach_role_policy", PolicyArn=arn + "-of-nobody", RoleName="reader")
    ask("get policy", "get_policy", **it)
    ask("list attached", "list_attached_role_policies", RoleName="reader")
    ask("list entities", "list_entities_for_policy", **it)
    ask("create version", "create_policy_version", **it, PolicyDocument=json.dumps(START), SetAsDefault=True)
    ask("get version", "get_policy_version", **it, VersionId="v2")
    ask("get no version", "get_policy_version", **it, VersionId="v9")
    ask("list versions", "list_policy_versions", **it)
    ask("delete default version", "delete_policy_version", **it, VersionId="v2")
    ask("go back to first version", "set_default_policy_version", **it, VersionId="v1")
    ask("delete version", "delete_policy_version", **it, VersionId="v2")
    ask("delete attached policy", "delete_policy", **it)
    ask("detach policy", "detach_role_policy", **it, RoleName="reader")
    ask("detach policy again", "detach_role_policy", **it, RoleName="reader")
    ask("delete policy", "delete_policy", **it)
    ask("get deleted policy", "get_policy", **it)
    ask("delete reader", "delete_role", RoleName="reader")


SESSIONS = [a_users_life, a_roles_life, a_managed_policys_life]
