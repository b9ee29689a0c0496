"""Kills at random moments of a running platform: what ``make bench-faults`` does at length."""

from __future__ import annotations

import pytest

from bench.faults.kinds import BROKER, POSTGRES, WORKER
from bench.faults.trial import Plan, run_trial


@pytest.mark.live  # On a platform of its own: it need not wait for the tests of the other one.
def test_whatever_is_killed_each_execution_ends_once_and_says_how(tmp_path):
    plan = Plan(
        executions=60,
        clients=8,
        kinds=(WORKER, BROKER, POSTGRES),
        pauses_s=(0.5, 1.5),
        rounds=1,
        most_rounds=1,
        seed=3,
        longest_s=0.2,
        lease_s=6,
        keep_logs=tmp_path,
    )

    outcome = run_trial(plan, print)

    assert outcome.findings.violations == []
    assert outcome.findings.by_status["succeeded"] > 0
    assert {name: len(times) for name, times in outcome.recoveries_s.items()} == {
        "worker": 1,
        "broker": 1,
        "PostgreSQL": 1,
    }
    assert outcome.findings.acknowledged >= 40
