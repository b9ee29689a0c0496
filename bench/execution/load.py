"""Runs jobs on targets and takes the times.

Targets take turns, so that a change in the machine's speed meets all of them alike; what other
programs disturbed is measured again, once.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from bench.execution.footprint import Window
from bench.execution.target import Job, Target

SWEEPS_PER_BLOCK = 5

Result = TypeVar("Result")


@dataclass(frozen=True)
class Counts:
    """How much to measure. foreign_share: above it a measurement counts as disturbed."""

    latency_jobs: int
    throughput_jobs: int
    clients: Sequence[int]
    rounds: int
    foreign_share: float


@dataclass
class Samples:
    """Everything measured with one job, by name of the target."""

    latency_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    jobs_per_s: dict[tuple[str, int], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Also by number of clients; one value a round."""
    cpu_s_per_job: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_s_by_part: dict[tuple[str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """The same by target and part, where parts are known."""
    foreign_shares: list[float] = field(default_factory=list)
    """Of every measurement that was kept."""
    repeated: int = 0


def measure(targets: Sequence[Target], job: Job, counts: Counts) -> Samples:
    """Return latency and throughput of every target. Raises whatever a job raises."""
    samples = Samples()
    _measure_latency(targets, job, counts, samples)
    for _ in range(counts.rounds):
        for clients in counts.clients:
            for target in targets:
                _measure_throughput(target, job, clients, counts, samples)
    return samples


def run_many(run_one: Callable[[int], float], jobs: int, clients: int) -> float:
    """Return jobs per second of clients that each submit the next job when their last is done.

    The first error ends all clients and is raised here.
    """
    numbers = iter(range(jobs))
    lock = threading.Lock()
    errors: list[Exception] = []

    def client() -> None:
        while not errors:
            with lock:
                n = next(numbers, None)
            if n is None:
                return
            try:
                run_one(n)
            except Exception as error:  # noqa: BLE001 - raised again below
                errors.append(error)

    threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
    began_at = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - began_at
    if errors:
        raise errors[0]
    return jobs / elapsed_s


def _measure_latency(targets: Sequence[Target], job: Job, counts: Counts, samples: Samples) -> None:
    """Run one job of every target in turn, in blocks short enough to be worth repeating."""
    for start in range(0, counts.latency_jobs, SWEEPS_PER_BLOCK):
        numbers = range(start, min(start + SWEEPS_PER_BLOCK, counts.latency_jobs))

        def block(numbers: range = numbers) -> list[tuple[str, float]]:
            return [(each.name, each.run_one(job, n)) for n in numbers for each in targets]

        for name, seconds in _least_disturbed(block, counts, samples):
            samples.latency_s[name].append(seconds)


def _measure_throughput(
    target: Target, job: Job, clients: int, counts: Counts, samples: Samples
) -> None:
    def batch() -> tuple[float, float, dict[str, float]]:
        spent_s, before = target.cpu_s(), target.cpu_s_by_part()
        rate = run_many(lambda n: target.run_one(job, n), counts.throughput_jobs, clients)
        after = target.cpu_s_by_part()
        by_part = {part: (after[part] - before[part]) / counts.throughput_jobs for part in after}
        return rate, (target.cpu_s() - spent_s) / counts.throughput_jobs, by_part

    rate, cost_s, by_part = _least_disturbed(batch, counts, samples)
    samples.jobs_per_s[target.name, clients].append(rate)
    samples.cpu_s_per_job[target.name].append(cost_s)
    for part, part_s in by_part.items():
        samples.cpu_s_by_part[target.name, part].append(part_s)


def _least_disturbed(attempt: Callable[[], Result], counts: Counts, samples: Samples) -> Result:
    """Return what attempt returns, of two attempts if the first was disturbed."""
    share, result = _attempt(attempt)
    if share > counts.foreign_share:
        samples.repeated += 1
        second_share, second = _attempt(attempt)
        if second_share < share:
            share, result = second_share, second
    samples.foreign_shares.append(share)
    return result


def _attempt(attempt: Callable[[], Result]) -> tuple[float, Result]:
    """Return the machine's share that others used meanwhile, and the result."""
    window = Window()
    result = attempt()
    return window.foreign_share(), result
