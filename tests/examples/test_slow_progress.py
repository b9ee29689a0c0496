"""The example slow-progress does what its README says, on its samples and on bad files."""

from __future__ import annotations

from executors.contract import Outcome
from executors.manifest import load_manifest
from tests.examples.conftest import EXAMPLES, RunExample


def test_slow_progress_reports_every_step(run_example: RunExample) -> None:
    run = run_example("slow-progress", {"seconds": 0.2, "steps": 4})
    # Only the newest line is read each time, so some steps may go by unseen.
    assert run.heard.progressed[-1] == (1.0, "Step 4 of 4")
    assert run.heard.progressed == sorted(run.heard.progressed)
    assert run.stdout.splitlines() == [f"Step {n} of 4 done" for n in range(1, 5)]
    assert run.output["steps"] == 4
    assert 0.2 <= run.output["seconds"] < 5


def test_slow_progress_fails_at_the_step_asked_for(run_example: RunExample) -> None:
    run = run_example("slow-progress", {"seconds": 0, "steps": 4, "fail_at_step": 3})
    assert not run.succeeded
    assert run.stderr.splitlines()[-1] == "RuntimeError: Step 3 failed, as asked."
    assert run.heard.progressed[-1] == (0.5, "Step 2 of 4")


def test_slow_progress_runs_into_its_time_limit(run_example: RunExample) -> None:
    run = run_example("slow-progress", {"seconds": 600}, timeout_s=1)
    assert run.result.outcome is Outcome.TIMED_OUT
    assert load_manifest(EXAMPLES / "slow-progress").skill.timeout_s == 60
