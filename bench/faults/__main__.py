"""Kill workers, servers and web processes while executions run, and see what becomes of them."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.execution.target import BenchError
from bench.faults.kinds import KINDS, kinds_named
from bench.faults.page import INTRODUCTION, page_of
from bench.faults.trial import Plan, run_trial
from execfabric.embedded import EmbeddedError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a trial and print it; write the page if asked to. Return 1 if a promise was broken."""
    options = _read_options(arguments)
    try:
        plan = Plan(
            executions=options.executions,
            clients=options.clients,
            kinds=kinds_named(options.kinds),
            pauses_s=(options.pauses[0], options.pauses[1]),
            rounds=options.rounds,
            seed=options.seed,
            keep_logs=options.keep_logs,
        )
        _say(f"seed {plan.seed}")
        outcome = run_trial(plan, _say)
    except (BenchError, EmbeddedError) as error:
        sys.exit(f"bench: {error}")
    text = page_of(outcome)
    print(text)
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(f"{INTRODUCTION}\n{text}", encoding="utf-8")
        _say(f"{options.write} is written")
    return 1 if outcome.findings.violations else 0


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [kind.name for kind in KINDS]
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--write", type=Path, metavar="FILE", help="write the page there")
    add("--executions", type=int, default=500, help="how many are asked for")
    add("--clients", type=int, default=8, help="clients at a time")
    add("--kinds", nargs="+", choices=names, default=names, help="what is killed")
    add("--pauses", type=float, nargs=2, default=[1.0, 4.0], help="seconds between kills")
    add("--rounds", type=int, default=2, help="how often each kind is killed at least")
    add("--seed", type=int, default=secrets.randbelow(10**6), help="repeats a trial's choices")
    add("--keep-logs", type=Path, metavar="FOLDER", help="copy the platform's logs there")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    print(f"# {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
