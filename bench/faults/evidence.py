"""What must be true afterwards, whatever was killed, out of database, audit trail and witness."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from bench.execution.instance import Facts
from bench.faults.load import Submission
from bench.faults.witness import Witness

FINAL = ("succeeded", "failed", "timed_out", "cancelled", "lost", "rejected", "expired")
ENDINGS = ("executions.execution.finish", "executions.execution.lose")
CLAIM = "executions.execution.claim"
LOOK_EVERY_S = 0.5

Row = dict[str, Any]


@dataclass
class Findings:
    """What was found. violations must be empty."""

    violations: list[str] = field(default_factory=list)
    by_status: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why executions did not succeed."""
    acknowledged: int = 0
    unacknowledged: int = 0
    """Stored although no client was told: its answer was lost."""
    starts: int = 0
    retries: int = 0
    """New executions that the platform itself asked for, in place of lost ones."""
    longest_until_lost_s: float = 0.0
    """From the start of a run that was lost to the record of it."""


def wait_until_all_ended(facts: Facts, *, within_s: float) -> float:
    """Wait until no execution is open; return how many seconds that took. Gives up in time."""
    began = time.monotonic()
    open_ones = sql.SQL(
        "SELECT count(*) FROM {}.executions_execution WHERE status <> ALL(%s)"
    ).format(sql.Identifier(facts.schema))
    while (elapsed_s := time.monotonic() - began) < within_s:
        try:
            with psycopg.connect(facts.database_url) as connection:
                found = connection.execute(open_ones, [list(FINAL)]).fetchone()
            if found is not None and not found[0]:
                return elapsed_s
        except psycopg.OperationalError:
            pass  # It comes back.
        time.sleep(LOOK_EVERY_S)
    return within_s


def examine(
    facts: Facts,
    submissions: Sequence[Submission],
    witness: Witness,
    *,
    idempotent_skill: str,
    most_retries: int,
) -> Findings:
    """Hold everything that was recorded against what clients and witness know."""
    found = Findings()
    rows, acts, artifacts = _read(facts)
    by_number: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_number[row["inputs"]["number"]].append(row)
        _examine_one(row, acts[row["id"]], artifacts[row["id"]], witness, found)
    for wanted in submissions:
        _examine_submission(wanted, by_number[wanted.number], found)
    for number, runs in ((number, runs) for number, runs in by_number.items() if runs):
        asked = [row for row in runs if row["retry_of_id"] is None]
        retries = [row for row in runs if row["retry_of_id"] is not None]
        is_idempotent = all(row["skill"] == idempotent_skill for row in runs)
        if len(asked) != 1:
            found.violations.append(f"number {number} has {len(asked)} executions asked for")
        if retries and not is_idempotent:
            found.violations.append(f"number {number} was retried though its skill says nothing")
        if len(retries) > most_retries:
            found.violations.append(f"number {number} was retried {len(retries)} times")
        _examine_retries(number, runs, found)
        starts = witness.starts[number]
        claims = sum(acts[row["id"]][CLAIM] for row in runs)
        if len(starts) > claims:
            found.violations.append(f"number {number} started {len(starts)} times, {claims} claims")
        if not is_idempotent and len(starts) > 1:
            found.violations.append(f"number {number} ran {len(starts)} times")
        found.starts += len(starts)
        found.retries += len(retries)
    for number in set(witness.starts) - {row["inputs"]["number"] for row in rows}:
        found.violations.append(f"number {number} started without an execution")
    return found


def _examine_one(
    row: Row, acts: Counter[str], artifacts: list[Row], witness: Witness, found: Findings
) -> None:
    name, number = f"execution {row['id']}", row["inputs"]["number"]
    status = row["status"]
    found.by_status[status] += 1
    if status not in FINAL:
        found.violations.append(f"{name} is still {status}")
    if acts[CLAIM] > 1:
        found.violations.append(f"{name} was claimed {acts[CLAIM]} times")
    endings = sum(acts[code] for code in ENDINGS)
    if endings != (1 if status in FINAL else 0):
        found.violations.append(f"{name} has {endings} endings and is {status}")
    if status == "succeeded":
        start = row["output"]["start"]
        if start not in witness.starts[number] or start not in witness.ends[number]:
            found.violations.append(f"{name} succeeded by a start nobody saw")
        wanted = 1 if row["inputs"]["kind"] == "file" else 0
        if len(artifacts) != wanted:
            found.violations.append(f"{name} has {len(artifacts)} artifacts, not {wanted}")
        return
    if status in FINAL:
        found.reasons[f"{status}: {row['error'].splitlines()[0] if row['error'] else ''}"] += 1
        if not row["error"].strip():
            found.violations.append(f"{name} is {status} without a reason")
    if status == "lost":
        took_s = (row["finished_at"] - row["started_at"]).total_seconds()
        found.longest_until_lost_s = max(found.longest_until_lost_s, took_s)


def _examine_submission(wanted: Submission, runs: Sequence[Row], found: Findings) -> None:
    stored = {str(row["id"]) for row in runs if row["retry_of_id"] is None}
    if wanted.acknowledged:
        found.acknowledged += 1
    elif stored:
        found.unacknowledged += 1
    if len(set(wanted.acknowledged)) > 1:
        found.violations.append(f"submission {wanted.number} was given two ids for one key")
    for lost in set(wanted.acknowledged) - stored:
        found.violations.append(f"submission {wanted.number} was acknowledged as {lost}, not kept")


def _examine_retries(number: int, runs: Sequence[Row], found: Findings) -> None:
    """Each retry follows another lost one, and a lost one has one retry at most."""
    known = {row["id"]: row for row in runs}
    followed = Counter(row["retry_of_id"] for row in runs if row["retry_of_id"] is not None)
    for first, count in followed.items():
        if count > 1 or known[first]["status"] != "lost":
            found.violations.append(f"number {number}: {first} was retried wrongly")


def _read(
    facts: Facts,
) -> tuple[list[Row], Mapping[UUID, Counter[str]], Mapping[UUID, list[Row]]]:
    """Return the executions, how often each act was done to each, and its artifacts."""
    schema = sql.Identifier(facts.schema)
    executions = sql.SQL(
        "SELECT run.id, run.status, run.error, run.inputs, run.output, run.retry_of_id, "
        "run.started_at, run.finished_at, skill.name AS skill "
        "FROM {0}.executions_execution run JOIN {0}.catalogue_skill skill "
        "ON skill.id = run.skill_id WHERE skill.name LIKE 'bench-%%'"
    ).format(schema)
    events = sql.SQL(
        "SELECT target_id, code, count(*) FROM {}.core_auditevent "
        "WHERE outcome = 'done' AND code = ANY(%s) GROUP BY 1, 2"
    ).format(schema)
    files = sql.SQL("SELECT execution_id, name FROM {}.executions_artifact").format(schema)
    acts: dict[UUID, Counter[str]] = defaultdict(Counter)
    artifacts: dict[UUID, list[Row]] = defaultdict(list)
    with psycopg.connect(facts.database_url, row_factory=dict_row) as connection:
        rows = connection.execute(executions, []).fetchall()
        for event in connection.execute(events, [[CLAIM, *ENDINGS]]).fetchall():
            acts[UUID(event["target_id"])][event["code"]] += event["count"]
        for file in connection.execute(files).fetchall():
            artifacts[file["execution_id"]].append(file)
    return rows, acts, artifacts
