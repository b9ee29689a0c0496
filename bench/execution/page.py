"""The text around the tables: docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence

from bench.execution import report
from bench.execution.footprint import Memory
from bench.execution.lineup import Lineup
from bench.execution.load import Counts, Samples
from bench.execution.machine import facts
from bench.execution.peer import LOOKS_EVERY_S, VERSION
from bench.execution.target import Job

TITLES = {
    "trivial": "A trivial job: a number plus one",
    "cpu10": "The same after 10 ms of work",
}
PEER_INTRODUCTION = f"""\
# Benchmarks: beside another platform

The same job, in the same run, on a platform that installs from the package index: Prefect
{VERSION}, with a server on SQLite and a process worker that looks for work every {LOOKS_EVERY_S} s
(its default is 10 s), in an environment of its own. It starts a process for each run, as ExecFabric
does; it has no sandbox, no login, no rights and no audit trail in this setup, and runs the job on
the interpreter of its environment. `make peers` measures it and replaces this page.

Read the ratios. The machine may have been shared with other work: the line below each table says
how much of it others used, and what disturbs one target disturbs all, since they take turns.
"""
INTRODUCTION = """\
# Benchmarks

What a governed run costs. `make bench` measures it and replaces this page; how each figure is taken
stands in `bench/README.md`. What keeping tenants apart costs has
[a page of its own](benchmarks-isolation.md).

Read the ratios: they compare things measured in the same run, in turn. Milliseconds of another
machine, or of another day, mean little.
"""
MEANING = """\
*Bare* starts the interpreter on the script and reads its output. *Celery* is a hand-written task
that does the same in a worker: no login, no rights, no isolation, no record. *ExecFabric* is one
HTTP request that submits and waits for the result, with token, rights, input check,
audit trail, isolated run and stored result. All three start the same interpreter. By default runs
of one account that nobody confirms, as these are, have one sandbox, one after another, when they
come within two seconds; the line below is a platform where each run has its own.
"""


def execution_section(
    lineup: Lineup,
    counts: Counts,
    measured: dict[Job, Samples],
    memories: dict[str, Memory | None],
    missing: Sequence[str] | None,
    further: Sequence[str] = (),
) -> str:
    """Return everything about running jobs. missing is evidence that was not found, if checked;
    further are sections of other measurements of the same run."""
    sandbox = lineup.governed.facts.sandbox if lineup.governed and lineup.governed.facts else ""
    parts = ["## Running a job", MEANING.strip(), facts(lineup.python, sandbox)]
    for job, samples in measured.items():
        parts.append(f"### {TITLES.get(job.name, job.name)}")
        parts.append(report.latency_table(lineup, samples))
        parts.append(report.throughput_table(lineup, samples, counts.clients))
        if lineup.governed:
            kept = samples.latency_s[lineup.governed.name]
            parts.append(report.step_table(lineup.governed.steps(job, kept)))
            parts.append(report.part_table(lineup, samples))
        parts.append(report.disturbance(samples))
    if any(memories.values()):
        parts.append("### Memory and evidence")
        parts.append(report.memory_table(memories))
    parts += further
    parts += _evidence(missing)
    return "\n\n".join(parts) + "\n"


def _evidence(missing: Sequence[str] | None) -> list[str]:
    if missing is None:
        return []
    if missing:
        return ["**Evidence is missing**, so these figures do not count: " + "; ".join(missing)]
    return ["Every result was checked; a sample of the runs had its owner and full audit trail."]
