"""Measure what a governed run costs, next to a bare process and a hand-written Celery task."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.execution import lineup
from bench.execution.load import Counts, measure
from bench.execution.page import INTRODUCTION, PEER_INTRODUCTION, TITLES, execution_section
from bench.execution.scale import Batches, Latencies, measure_batches, measure_tenants
from bench.execution.target import BenchError, Job
from execfabric.embedded import EmbeddedError

SETTLE_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; write the page if asked to. Return 1 if evidence is missing."""
    options = _read_options(arguments)
    try:
        text, complete = _measure_execution(options)
        print(text)
        if options.write:
            options.write.parent.mkdir(parents=True, exist_ok=True)
            with_peer = set(lineup.PEERS) & set(options.targets)
            introduction = PEER_INTRODUCTION if with_peer else INTRODUCTION
            options.write.write_text(f"{introduction}\n{text}", encoding="utf-8")
            _say(f"{options.write} is written")
    except (BenchError, EmbeddedError) as error:
        sys.exit(f"bench: {error}")
    return 0 if complete else 1


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.execution",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--write", type=Path, metavar="FILE", help="write the page there")
    known = (*lineup.NAMES, *lineup.PEERS)
    add("--targets", nargs="+", choices=known, default=lineup.NAMES, help="what to measure")
    add("--jobs", nargs="+", choices=TITLES, default=list(TITLES), help="folders of bench/jobs")
    add("--python", default="", help="interpreter of bare and celery, if not the platform's")
    add("--workers", type=int, default=2, help="worker processes of celery")
    add("--latency-jobs", type=int, default=40, help="jobs per target, one at a time")
    add("--throughput-jobs", type=int, default=100, help="jobs per target, clients and round")
    add("--clients", type=int, nargs="+", default=[2, 8], help="clients at a time")
    add("--rounds", type=int, default=5, help="rounds of throughput")
    add("--batch-rows", type=int, default=500, help="rows of a batch; 0 leaves batches out")
    add("--tenants", type=int, default=0, help="open so many tenants and measure again")
    add(
        "--foreign-share",
        type=float,
        default=0.15,
        help="share of the machine others may use before a measurement is repeated",
    )
    return parser.parse_args(arguments)


def _measure_execution(options: argparse.Namespace) -> tuple[str, bool]:
    """Return the section about running jobs, and whether all evidence was found."""
    jobs = [Job(name) for name in options.jobs]
    counts = Counts(
        latency_jobs=options.latency_jobs,
        throughput_jobs=options.throughput_jobs,
        clients=options.clients,
        rounds=options.rounds,
        foreign_share=options.foreign_share,
    )
    _say(f"starting {', '.join(options.targets)}")
    with lineup.started(
        options.targets, jobs, python=options.python, workers=options.workers
    ) as running:
        time.sleep(SETTLE_S)
        memories = {target.name: target.memory() for target in running.targets}
        measured = {}
        for job in jobs:
            _say(f"measuring the job {job.name}")
            measured[job] = measure(running.targets, job, counts)
        further: list[Batches | Latencies | None] = []
        if options.batch_rows:
            _say("measuring batches")
            further.append(
                measure_batches(running, jobs[0], rows=options.batch_rows, rounds=options.rounds)
            )
        missing = running.governed.missing_evidence() if running.governed else None
        if options.tenants:
            further.append(
                measure_tenants(
                    running, jobs[0], tenants=options.tenants, jobs=options.latency_jobs
                )
            )
        sections = [each.section() for each in further if each is not None]
        text = execution_section(running, counts, measured, memories, missing, sections)
    return text, not missing


def _say(text: str) -> None:
    print(f"# {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
