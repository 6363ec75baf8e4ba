"""A streaming job run whose driver dies goes on from its checkpoint, until too many have died within an hour."""

import random

from endurance.streaming import survive


def test_a_killed_streaming_job_resumes_without_losing_or_repeating_a_row_until_it_failed_too_often(hearth, jobs):
    # `tests/endurance/streaming.py` kills five.
    survive(hearth, jobs, kills=1, chance=random.Random(1))
