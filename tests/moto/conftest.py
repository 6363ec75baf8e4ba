"""Fixtures: moto's server, a coordinator without hosts, and what both answered in the same sessions."""

import json
import subprocess

import identity_sessions
import pytest
import sessions
from identity_sessions import TRUST
from lab import CACHE, Coordinator, client_of, free_port, served, wait_for

PROGRAM = CACHE / "moto/bin/moto_server"
SESSIONS = {"emr-serverless": sessions.SESSIONS, "iam": identity_sessions.SESSIONS}


class Moto:
    """moto's server, as something that `client_of` makes clients of."""

    ca_bundle = None

    def __init__(self, directory):
        self.port, self.log, self.process = free_port(), directory / "moto.log", None
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def settings(self):
        return {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anything"}

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        return "Running on" in self.log.read_text()

    def start(self):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([PROGRAM, "-H", "127.0.0.1", "-p", str(self.port)], stdout=log, stderr=log)
        wait_for("moto's server", self.answers, 60)
        return self


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is not there: run bash deploy/prerequisites.sh moto", pytrace=False)
    server = Moto(tmp_path_factory.mktemp("moto"))
    try:
        yield server.start()
    finally:
        if server.process:
            server.process.kill()
            server.process.wait(30)


@pytest.fixture(scope="session")
def coordinator():
    """There is no host, so that job runs wait: those of moto neither run nor wait."""
    alone = Coordinator("moto", f'account_id = "{sessions.ACCOUNT}"\n')
    alone.prepare()
    yield from served(alone)


@pytest.fixture(scope="session")
def outcomes(moto, coordinator):
    """What each server answered, by step and path."""
    client_of(coordinator, "iam").create_role(RoleName="job", AssumeRolePolicyDocument=json.dumps(TRUST))
    answered = {}
    for name, server in (("moto", moto), ("hearth", coordinator)):
        answered[name] = {}
        for service, told in SESSIONS.items():
            client = sessions.Client(client_of(server, service))
            for session in told:
                client.run(session)
            answered[name] |= client.outcomes
    return answered
