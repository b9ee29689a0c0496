"""Upgrading all tenants: nothing to do, all behind, killed in the middle, one broken."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from bench.execution.figures import median
from bench.execution.target import BenchError
from bench.isolation.release import TABLE, Done, Releases

STOCK_SAMPLE = 12
READ_AT_ONCE = 500


@dataclass
class Upgrades:
    """What was found. Seconds are those of whole commands, the start of Python included."""

    tenants: int
    stock_s: float = 0.0
    """One tenant as stock upgrades it, median of a sample, the command's start not included."""
    seconds: dict[int, float] = field(default_factory=dict)
    """Of upgrading all, by number of processes."""
    kill_upgraded: int = 0
    """Schemas reported as upgraded before the kill."""
    kill_left: int = 0
    """Schemas the next run still had to upgrade."""
    kill_torn: int = 0
    """Schemas in which the change was there without its record, or the other way round."""
    kill_seconds: float = 0.0
    broken_code: int = 0
    broken_done: int = 0
    foreign_share: float = 0.0


def idle_commands(releases: Releases, repeats: int) -> tuple[list[float], list[float]]:
    """Return the seconds of migrate_platform with nothing to do, and of isolation check."""
    migrations, checks = [], []
    for _ in range(repeats):
        migrations.append(releases.migrate(0).must_work().seconds)
        checks.append(releases.run("manage.py", "isolation", "check").must_work().seconds)
    return migrations, checks


def measure(releases: Releases, schemas: Sequence[str]) -> Upgrades:
    """Bring out newer versions, one after another, to all schemas. Raises BenchError."""
    found = Upgrades(len(schemas))
    with psycopg.connect(releases.owner_url, autocommit=True) as session:
        database = Database(session, schemas)
        _all_behind(releases, database, found)
        _killed(releases, database, found)
        _broken(releases, database, found)
    return found


class Database:
    """What the schemas look like, seen by the owner."""

    def __init__(self, session: psycopg.Connection[Any], schemas: Sequence[str]) -> None:
        self.session = session
        self.schemas = list(schemas)

    def with_column(self, column: str) -> set[str]:
        found = self.session.execute(
            "SELECT c.relnamespace::regnamespace::text FROM pg_attribute a "
            "JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname = %s AND a.attname = %s",
            [TABLE, column],
        )
        return {name for (name,) in found} & set(self.schemas)

    def with_record(self, column: str) -> set[str]:
        names: set[str] = set()
        for start in range(0, len(self.schemas), READ_AT_ONCE):
            parts = [
                sql.SQL("SELECT {} FROM {} WHERE name LIKE {}").format(
                    sql.Literal(schema),
                    sql.Identifier(schema, "django_migrations"),
                    sql.Literal(f"%{column}"),
                )
                for schema in self.schemas[start : start + READ_AT_ONCE]
            ]
            found = self.session.execute(sql.SQL(" UNION ALL ").join(parts))
            names |= {name for (name,) in found}
        return names

    def must_be_complete(self, column: str) -> None:
        if self.with_column(column) != self.with_record(column) or (
            self.with_column(column) != set(self.schemas)
        ):
            raise BenchError("After migrate_platform not every schema is complete.")

    def rename(self, schema: str, before: str, after: str) -> None:
        names = (sql.Identifier(schema, before), sql.Identifier(after))
        self.session.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(*names))

    def wait_until_alone(self) -> None:
        """Wait until PostgreSQL has noticed that the clients of other sessions are gone."""
        while self.session.execute(
            "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend' "
            "AND state <> 'idle' AND pid <> pg_backend_pid()"
        ).fetchone():
            time.sleep(0.1)


def _all_behind(releases: Releases, database: Database, found: Upgrades) -> None:
    for processes in (1, 2):
        column = releases.add()
        done = releases.migrate(processes).must_work()
        database.must_be_complete(column)
        found.seconds[processes] = done.seconds
    releases.add()
    sample = database.schemas[-STOCK_SAMPLE:]
    done = releases.run("-m", "bench.isolation.stock", *sample).must_work()
    found.stock_s = median(json.loads(done.output.splitlines()[-1]))
    releases.migrate(0).must_work()


def _killed(releases: Releases, database: Database, found: Upgrades) -> None:
    column = releases.add()
    half = len(database.schemas) // 2
    found.kill_upgraded = releases.migrate_and_kill(2, lambda upgraded: upgraded >= half)
    database.wait_until_alone()
    found.kill_torn = len(database.with_column(column) ^ database.with_record(column))
    done = releases.migrate(2).must_work()
    found.kill_left, found.kill_seconds = done.upgraded, done.seconds
    database.must_be_complete(column)


def _broken(releases: Releases, database: Database, found: Upgrades) -> None:
    column = releases.add()
    broken = database.schemas[len(database.schemas) // 2]
    database.rename(broken, TABLE, "elsewhere")
    done = releases.migrate(2)
    _must_name(done, broken)
    found.broken_code = done.code
    found.broken_done = len(database.with_record(column) & database.with_column(column))
    database.rename(broken, "elsewhere", TABLE)
    releases.migrate(2).must_work()
    database.must_be_complete(column)


def _must_name(done: Done, broken: str) -> None:
    if done.code == 0 or f"  {broken}: " not in done.output:
        raise BenchError(f"The schema that cannot be upgraded is not told:\n{done.output[-2000:]}")
