"""The page about faults."""

from __future__ import annotations

import statistics

from bench.execution import machine
from bench.faults.trial import Outcome

INTRODUCTION = """# Benchmarks: faults

What becomes of executions when the processes that carry them out are killed with signal 9 at random
moments. `make bench-faults` measures it and replaces this page; `--seed` repeats the choices of a
trial (what is killed, in which order, after which pauses; not the moment within a run).

Clients submit through the API, most with an idempotency key, some of these twice; a quarter of the
executions is of a skill that declares itself idempotent. Each script tells a witness outside of the
platform that it starts and that it ends, over the network it was granted, so a script that was
started twice is seen even if its worker and its log are gone.
"""

PROMISES = (
    "Every execution is in a final state.",
    "None was claimed twice, and no script started more often than it was claimed.",
    "No script of a skill that does not say it is idempotent started twice.",
    "None has two endings; each that succeeded did so by a start and an end the witness saw, with "
    "the artifacts it left.",
    "Each that did not succeed states why.",
    "Each submission that was acknowledged exists, and one key has one execution.",
    "Only lost ones of the idempotent skill were retried, each once, and not more often in a row "
    "than the skill says.",
)


def page_of(outcome: Outcome) -> str:
    """Return the part of the page below its introduction."""
    found, plan = outcome.findings, outcome.plan
    lines = [
        machine.facts(),
        f"- {plan.executions} executions by {plan.clients} clients, seed {plan.seed}",
        f"- {found.acknowledged} acknowledged, {found.unacknowledged} stored whose answer was lost",
        f"- Load for {outcome.load_s:.0f} s, then {outcome.settle_s:.0f} s until the last ended",
        "",
        "## Kills",
        "",
        "*Recovery* is the time from the kill until an execution that was asked for at that moment",
        "is done, behind the load that waits there; one that was refused or lost is asked for",
        "again.",
        "",
        "| killed | times | median s | longest s |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, times in outcome.recoveries_s.items():
        lines.append(
            f"| {name} | {len(times)} | {statistics.median(times):.1f} | {max(times):.1f} |"
        )
    answers = ", ".join(f"{what} {n}" for what, n in sorted(outcome.troubles.items())) or "none"
    lines += [
        "",
        f"Requests that were not answered, or with an error of the server: {answers}.",
        "",
        "## What became of the executions",
        "",
        "Probes and automatic retries included.",
        "",
        "| status | executions |",
        "| --- | ---: |",
        *(f"| {status} | {count} |" for status, count in found.by_status.most_common()),
        "",
        "| how those ended that did not succeed | executions |",
        "| --- | ---: |",
        *(f"| {reason} | {count} |" for reason, count in found.reasons.most_common()),
        "",
        f"{found.starts} starts of scripts were witnessed. {found.retries} executions are",
        "automatic retries. Each lost run was known as lost within "
        f"{found.longest_until_lost_s:.0f} s of its start.",
        "",
        "## What must be true",
        "",
        *(f"- {promise}" for promise in PROMISES),
        "",
        f"**{_verdict(found.violations)}**",
        "",
        *(f"- {violation}" for violation in found.violations[:50]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _verdict(violations: list[str]) -> str:
    return f"Broken {len(violations)} times." if violations else "All of it held."
