"""Leases on real hosts: who is frozen, who goes on, and when."""

import pytest
from lost_hosts import LOSSES


@pytest.mark.parametrize("loss", LOSSES)
def test_a_driver_out_of_contact_is_frozen_in_time_replaced_after_its_lease_and_killed_when_its_host_is_back(leased, loss):
    leased(loss).replaced()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_driver_that_nobody_can_replace_is_frozen_and_goes_on_when_its_host_is_back(leased, loss):
    leased(loss).waited_for(frozen_for=5)


def test_a_driver_frozen_for_45_seconds_goes_on_and_no_task_is_charged(leased):
    leased("its agent is stopped").waited_for(frozen_for=45)
