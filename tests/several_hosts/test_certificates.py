"""Certificates of hosts: renewed in time while connections go on, and worth nothing once revoked."""

import json

import pytest
from hosts import ATTACHED, START_DEADLINE
from lab import wait_for

# Certificates live for 30 s and are renewed at half of that.
RENEWALS_DEADLINE = 120
RENEWED = "certificate renewed"


@pytest.fixture
def host(short_lived):
    return short_lived.hosts[0]


def certificate(host):
    return (host.state / "identity.pem").read_text()


def test_certificates_are_renewed_while_the_stream_stays_and_are_used_by_the_next_one(short_lived, host):
    coordinator = short_lived.coordinator
    first = certificate(host)
    # The third renewal comes after the end of the first certificate: whoever still dials with that one is refused.
    wait_for("three renewals", lambda: host.agent.times(RENEWED) >= 3 and coordinator.times(f"own {RENEWED}") >= 2,
             RENEWALS_DEADLINE)
    assert certificate(host) != first
    assert host.agent.times(ATTACHED) == 1, host.agent.log.read_text()
    coordinator.kill()
    short_lived.start_coordinator()
    wait_for("the agent to attach again", lambda: host.agent.times(ATTACHED) == 2, START_DEADLINE)
    # A restarted agent has the renewed one from its file.
    host.agent.kill()
    host.start()
    wait_for("the restarted agent to attach", lambda: host.agent.times(ATTACHED) == 3, START_DEADLINE)


def test_a_revoked_host_is_cut_off_and_may_join_anew(short_lived, host):
    assert short_lived.run("agent", "revoke", host.id).stdout == f"{host.id} is REVOKED, with 0 workers\n"
    wait_for("the agent to be refused", lambda: host.agent.times("was revoked"), START_DEADLINE)
    attached = host.agent.times(ATTACHED)
    listed = json.loads(short_lived.run("agent", "list", "--json").stdout)["agents"]
    assert [(agent["id"], agent["standing"]) for agent in listed] == [(host.id, "REVOKED")]
    assert short_lived.run("agent", "undrain", host.id, check=False).returncode == 1
    host.agent.kill()
    (host.state / "identity.pem").unlink()
    former = host.id
    host.join().start()
    wait_for("the host to be back", lambda: host.agent.times(ATTACHED) > attached, START_DEADLINE)
    listed = json.loads(short_lived.run("agent", "list", "--json").stdout)["agents"]
    standings = {agent["id"]: (agent["standing"], agent["contact"]) for agent in listed}
    assert host.id != former and standings[host.id] == ("IN_SERVICE", "ATTACHED")
    assert standings[former][0] == "REVOKED"
