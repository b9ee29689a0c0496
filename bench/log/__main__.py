"""Measure what a flood of log costs the script that prints it, the worker and whoever reads it."""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from bench.execution import footprint
from bench.execution.figures import median, number, percentile, table
from bench.execution.instance import Facts, Instance
from bench.execution.machine import facts as machine_facts
from bench.execution.target import BenchError, Job
from cli.transport import open_http
from execfabric.embedded import EmbeddedError

FORMS = {
    "nowhere": "the same lines, printed into nothing",
    "lines": "line by line, a write each",
    "one-line": "one line without end",
    "noise": "binary noise",
}
FLOOD = Job("flood")
FIRST_LINE_WAIT_S = 1.0
PIPED = "line by line into `cat`, without the platform"
INTRODUCTION = """\
# Benchmarks: a script that prints without measure

`make bench` measures it and replaces this page. A script prints {mebibytes} MiB on a platform
started as `make demo` starts it; {rounds} runs of each form, in turn. *Printing* is the time the
script itself measures. Read its ratio to printing the same into nothing, and beside it what any
reader at the other end of a pipe costs. *Run* is the script's process from start to end. *Kept* is
what the log holds afterwards: its beginning, its end, and a line that says how much is left out.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _read_options(arguments)
    instance = Instance()
    try:
        text = _measure(instance, instance.start([FLOOD.folder]), options)
        print(text)
        if options.write:
            options.write.write_text(text, encoding="utf-8")
    except (BenchError, EmbeddedError) as error:
        sys.exit(f"bench: {error}")
    finally:
        instance.stop()
    return 0


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.log", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page there")
    parser.add_argument("--mebibytes", type=int, default=50, help="how much is printed")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each form")
    return parser.parse_args(arguments)


def _measure(instance: Instance, known: Facts, options: argparse.Namespace) -> str:
    client = open_http(f"http://{known.host}")
    login = {"username": known.username, "password": known.password}
    token = client.post("/api/v1/auth/login", json=login).raise_for_status().json()["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    _run(client, mebibytes=1, form="lines")
    before = _workers_peak(instance)
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(options.rounds):
        found[PIPED].append(_piped(options.mebibytes))
        for form, title in FORMS.items():
            found[title].append(_flood(client, options.mebibytes, form))
    after = _workers_peak(instance)
    lags = [_first_line_lag_s(client) for _ in range(4 * options.rounds)]
    floor_s = median([one["printing"] for one in found[FORMS["nowhere"]]])
    rows = []
    for title, runs in found.items():
        printing, run, kept, whole = (
            median([one[name] for one in runs if name in one])
            for name in ("printing", "run", "kept", "whole")
        )
        figures = [number(printing, 2), number(printing / floor_s, 2), number(run, 2)]
        rows.append([title, *figures, number(kept / 2**20), number(whole, 2)])
    header = ["Printed", "printing s", "x nowhere", "run s", "kept MiB", "submit to result s"]
    parts = [
        INTRODUCTION.format(mebibytes=options.mebibytes, rounds=options.rounds).strip(),
        machine_facts(sandbox=known.sandbox),
        table(header, rows),
        f"Peak memory of the largest worker process: {before:.0f} MiB before the floods, "
        f"{after:.0f} MiB after all of them.",
        f"A first line, from `print` to the reader of `GET executions/…/log?wait=`: median "
        f"{number(median(lags) * 1000, 0)} ms, the slowest of {len(lags)} "
        f"{number(percentile(lags, 100) * 1000, 0)} ms.",
    ]
    return "\n\n".join(parts) + "\n"


def _piped(mebibytes: int) -> dict[str, float]:
    """Return how long the script itself takes to print to another process."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        done = subprocess.run(
            [sys.executable, str(FLOOD.script), str(mebibytes), "lines"],
            stdout=reader.stdin,
            stderr=subprocess.PIPE,
            check=True,
            text=True,
        )
        reader.communicate()
    return {"printing": float(ast.literal_eval(done.stderr)["seconds"])}


def _flood(client: httpx.Client, mebibytes: int, form: str) -> dict[str, float]:
    began_at = time.perf_counter()
    execution = _run(client, mebibytes=mebibytes, form=form)
    whole_s = time.perf_counter() - began_at
    kept = sum(len(chunk["text"]) for chunk in _log(client, execution["id"]))
    return {
        "printing": execution["output"]["seconds"],
        "run": execution["wall_s"],
        "kept": kept,
        "whole": whole_s,
    }


def _first_line_lag_s(client: httpx.Client) -> float:
    """Return the seconds from a print in a script to the line at a reader that waits for it."""
    inputs = {"mebibytes": 0, "form": "lines", "first_line_wait_s": FIRST_LINE_WAIT_S}
    execution = _ask(client, "POST", "executions", {"skill": FLOOD.skill, "inputs": inputs})
    chunks: list[Any] = []
    while not chunks:
        page = _ask(client, "GET", f"executions/{execution['id']}/log?wait=10")
        chunks = page["chunks"]
    lag_s = time.time() - float(chunks[0]["text"].split()[2])
    _settled(client, execution)
    return lag_s


def _run(client: httpx.Client, **inputs: object) -> Any:
    execution = _ask(client, "POST", "executions", {"skill": FLOOD.skill, "inputs": inputs})
    execution = _settled(client, execution)
    if execution["status"] != "succeeded":
        raise BenchError(f"A flood {execution['status']}: {execution['error']}")
    return execution


def _settled(client: httpx.Client, execution: Any) -> Any:
    while not execution["is_final"]:
        execution = _ask(client, "GET", f"executions/{execution['id']}?wait=20")
    return execution


def _log(client: httpx.Client, execution_id: str) -> list[Any]:
    chunks: list[Any] = []
    cursor, final = 0, False
    while not final:
        page = _ask(client, "GET", f"executions/{execution_id}/log?after={cursor}")
        chunks += page["chunks"]
        cursor, final = page["cursor"], page["final"]
    return chunks


def _ask(client: httpx.Client, method: str, path: str, body: object = None) -> Any:
    response = client.request(method, f"/api/v1/{path}", json=body, timeout=60)
    if not response.is_success:
        raise BenchError(f"{method} {path}: {response.status_code} {response.text[:300]}")
    return json.loads(response.content)


def _workers_peak(instance: Instance) -> float:
    """Return the MiB the largest process of the workers has held at most."""
    roots = [instance.supervisor.pid] if instance.supervisor else []
    peaks = [0]
    for pid in footprint.descendants(roots):
        try:
            if b"run_worker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                continue
            lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        peaks += [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return max(peaks) / 1024


if __name__ == "__main__":
    sys.exit(main())
