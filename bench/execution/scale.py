"""What happens with many jobs at once, and with many tenants."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, field

from bench.execution.figures import median, number, paired_ratio, table
from bench.execution.lineup import Lineup
from bench.execution.load import run_many
from bench.execution.target import Job

CELERY_CLIENTS = 8


@dataclass
class Batches:
    """Jobs per second, one value a round."""

    rows: int
    governed: list[float] = field(default_factory=list)
    celery: list[float] = field(default_factory=list)

    def section(self) -> str:
        ratio = paired_ratio(self.governed, self.celery) if self.celery else None
        rows = [
            [f"ExecFabric, one batch of {self.rows} rows", number(median(self.governed)),
             number(ratio, 2)],
            [f"hand-written Celery, {CELERY_CLIENTS} clients", number(median(self.celery)), "1.00"],
        ]  # fmt: skip
        return "\n\n".join(
            [
                "### A batch",
                "From sending a table to the end of its last row; each row is an execution with "
                "its own process, record and audit events.",
                table(["", "jobs/s", "x Celery"], rows),
            ]
        )


def measure_batches(lineup: Lineup, job: Job, *, rows: int, rounds: int) -> Batches | None:
    """Run batches and as many single jobs of the baseline in turn. None without the platform."""
    if lineup.governed is None:
        return None
    measured = Batches(rows)
    celery = lineup.celery
    for number_of_round in range(rounds):
        measured.governed.append(rows / lineup.governed.run_batch(job, rows))
        if celery is not None:
            run = functools.partial(celery.run_one, job)
            measured.celery.append(run_many(run, rows, CELERY_CLIENTS))
        print(f"# batch {number_of_round + 1} of {rounds}", file=sys.stderr, flush=True)
    return measured


@dataclass
class Latencies:
    """Seconds of one job at a time, before and after further tenants were opened."""

    tenants: int
    few: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)
    bare_with_few: list[float] = field(default_factory=list)
    bare_with_many: list[float] = field(default_factory=list)

    def section(self) -> str:
        few, many = (
            median(mine) / median(bare)
            for mine, bare in (
                (self.few, self.bare_with_few),
                (self.many, self.bare_with_many),
            )
        )
        rows = [
            ["3", number(1000 * median(self.few)), number(few, 2), "1.00"],
            [str(self.tenants + 3), number(1000 * median(self.many)), number(many, 2),
             number(many / few, 2)],
        ]  # fmt: skip
        return "\n\n".join(
            ["### Many tenants", table(["Tenants", "median ms", "x bare", "x with 3"], rows)]
        )


def measure_tenants(lineup: Lineup, job: Job, *, tenants: int, jobs: int) -> Latencies | None:
    """Measure the same tenant's jobs, open so many others, and measure again."""
    if lineup.governed is None or lineup.bare is None:
        return None
    measured = Latencies(tenants)
    for mine, bare in (
        (measured.few, measured.bare_with_few),
        (measured.many, measured.bare_with_many),
    ):
        if mine is measured.many:
            print(f"# opening {tenants} tenants", file=sys.stderr, flush=True)
            lineup.governed.instance.open_tenants(tenants)
        for n in range(jobs):
            bare.append(lineup.bare.run_one(job, n))
            mine.append(lineup.governed.run_one(job, n))
    return measured
