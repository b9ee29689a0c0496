"""The measurements as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.execution.figures import median, number, paired_ratio, percentile, table
from bench.execution.footprint import Memory
from bench.execution.governed import PARTS, SANDBOX
from bench.execution.lineup import Lineup
from bench.execution.load import Samples
from bench.execution.target import Target


def latency_table(lineup: Lineup, samples: Samples) -> str:
    """Return one row a target, and its ratios to the floor and to the baseline."""
    header = ["One job at a time", "n", "median ms", "p95 ms", "x bare", "x Celery"]
    floor_s, baseline_s = (_typical_s(each, samples) for each in (lineup.bare, lineup.celery))
    rows = []
    for target in lineup.targets:
        mine = samples.latency_s[target.name]
        rows.append(
            [
                target.name,
                str(len(mine)),
                number(median(mine) * 1000),
                number(percentile(mine, 95) * 1000),
                number(median(mine) / floor_s, 2),
                number(median(mine) / baseline_s, 2),
            ]
        )
    return table(header, rows)


def throughput_table(lineup: Lineup, samples: Samples, clients: Sequence[int]) -> str:
    """Return one row a target: jobs per second at each number of clients, and CPU per job."""
    header = ["Many jobs"]
    for count in clients:
        header += [f"jobs/s, {count} clients", "x Celery"]
    rows = []
    for target in lineup.targets:
        row = [target.name]
        for count in clients:
            mine = samples.jobs_per_s[target.name, count]
            theirs = samples.jobs_per_s[lineup.celery.name, count] if lineup.celery else []
            ratio = paired_ratio(mine, theirs) if theirs else None
            row += [number(median(mine)), number(ratio, 2)]
        cost_s = median(samples.cpu_s_per_job[target.name])
        rows.append([*row, number(cost_s * 1000)])
    return table([*header, "CPU ms per job"], rows)


def step_table(steps: dict[str, list[float]]) -> str:
    """Return the median of each step of a governed run; steps in seconds, by name."""
    rows = [[name, number(median(values) * 1000)] for name, values in steps.items()]
    return table(["Step of a governed run", "median ms"], rows)


def part_table(lineup: Lineup, samples: Samples) -> str:
    """Return the CPU time of a governed job by part; all but the sandbox is governance."""
    if lineup.governed is None or lineup.bare is None:
        return "Parts are shown where bare is measured, too."
    floors_s = samples.cpu_s_per_job[lineup.bare.name]
    costs_s = {part: samples.cpu_s_by_part[lineup.governed.name, part] for part in PARTS.values()}
    governing = [costs_s[part] for part in costs_s if part != SANDBOX]
    costs_s["governance: all but the sandbox"] = [
        sum(each) for each in zip(*governing, strict=True)
    ]
    rows = [
        [part, number(median(mine) * 1000), number(paired_ratio(mine, floors_s), 2)]
        for part, mine in costs_s.items()
    ]
    return table(["Part of a governed job", "CPU ms per job", "x bare"], rows)


def memory_table(memories: dict[str, Memory | None]) -> str:
    """Return what each target held before the load, by its name."""
    rows = [
        [name, number(held.mebibytes, 0), str(held.processes)]
        for name, held in memories.items()
        if held is not None
    ]
    return table(["Idle", "MiB", "processes"], rows)


def disturbance(samples: Samples) -> str:
    """Return how much other programs got in the way."""
    shares = samples.foreign_shares
    return (
        f"Other programs used {number(median(shares) * 100, 0)} % of the machine meanwhile "
        f"(median of {len(shares)} measurements; worst {number(max(shares) * 100, 0)} %). "
        f"Measured again for that reason: {samples.repeated}."
    )


def _typical_s(target: Target | None, samples: Samples) -> float:
    return median(samples.latency_s[target.name] if target else [])
