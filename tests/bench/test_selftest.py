"""The benchmark's arithmetic, and that it runs. Nothing here depends on how fast it is."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.execution import footprint
from bench.execution.bare import BareTarget
from bench.execution.figures import median, number, paired_ratio, percentile, table
from bench.execution.load import Counts, measure, run_many
from bench.execution.page import TITLES
from bench.execution.target import BenchError, Job, Target
from executors.manifest.folder import load_manifest

ROOT = Path(__file__).parents[2]


def test_percentiles_are_values_that_were_measured():
    assert percentile(list(range(1, 101)), 95) == 95
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([7.0], 95) == 7.0
    assert math.isnan(percentile([], 95))


def test_ratios_are_taken_round_by_round():
    assert paired_ratio([10, 100, 30], [5, 10, 30]) == 2
    assert math.isnan(median([]))


def test_what_was_not_measured_is_a_dash():
    assert [number(1.25, 1), number(None), number(math.nan)] == ["1.2", "-", "-"]


def test_a_table_is_markdown():
    assert table(["a", "b"], [["x", "1"]]).splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x | 1 |",
    ]


def test_many_clients_run_each_job_once():
    seen: list[int] = []
    rate = run_many(lambda n: seen.append(n) or 0.0, jobs=100, clients=8)
    assert sorted(seen) == list(range(100))
    assert rate > 0


def test_an_error_ends_all_clients():
    started = []

    def fail_at_three(n: int) -> float:
        started.append(n)
        if n == 3:
            raise BenchError("wrong result")
        return 0.0

    with pytest.raises(BenchError):
        run_many(fail_at_three, jobs=1000, clients=1)
    assert started == [0, 1, 2, 3]


def test_every_target_runs_every_job_and_takes_turns():
    order: list[str] = []

    class Counting(Target):
        def __init__(self, name: str) -> None:
            self.name = name

        def run_one(self, job: Job, n: int) -> float:
            order.append(self.name)
            return 0.001

        def cpu_s(self) -> float:
            return 0.0

    counts = Counts(latency_jobs=3, throughput_jobs=4, clients=[2], rounds=2, foreign_share=9.0)
    samples = measure([Counting("one"), Counting("two")], Job("trivial"), counts)
    assert order[:6] == ["one", "two"] * 3
    assert {name: len(values) for name, values in samples.latency_s.items()} == {"one": 3, "two": 3}
    assert len(samples.jobs_per_s["two", 2]) == 2
    assert order.count("one") == order.count("two") == 3 + 2 * 4


def test_a_wrong_result_is_refused():
    target = BareTarget(sys.executable)
    target.check({"n": 6}, 5)
    for wrong in ({"n": 5}, {}, None, [6]):
        with pytest.raises(BenchError):
            target.check(wrong, 5)


def test_a_child_counts_as_part_of_its_parent():
    child = subprocess.Popen(["sleep", "30"])
    try:
        alone = footprint.memory([child.pid])
        together = footprint.memory([os.getpid()])
    finally:
        child.kill()
        child.wait()
    assert alone.processes == 1
    assert together.processes >= 2
    assert together.mebibytes > alone.mebibytes > 0


@pytest.mark.parametrize("name", TITLES)
def test_a_job_is_a_skill_and_a_plain_script(name: str):
    job = Job(name)
    manifest = load_manifest(job.folder)
    assert manifest.skill.name == job.skill
    assert BareTarget(sys.executable).run_one(job, 41) > 0


def test_two_jobs_on_the_bare_target_make_a_report():
    few = "--latency-jobs 2 --throughput-jobs 2 --clients 2 --rounds 1"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.execution",
            "--targets",
            "bare",
            "--jobs",
            "trivial",
            *few.split(),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "| bare python main.py | 2 |" in done.stdout
    assert "| 1.00 | - |" in done.stdout
