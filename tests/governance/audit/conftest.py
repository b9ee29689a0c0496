"""A trail whose first seals were made long ago, and a verifier as an auditor has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.utils import timezone

from cli.main import main
from execfabric.core.actor import Actor, Door
from execfabric.core.audit import record
from execfabric.core.models import Outcome
from execfabric.core.sealing.seals import Signer
from execfabric.core.seals import seal_events
from tenants.postgresql.base import DatabaseWrapper

SIGNER = Signer("a key of the tests, long enough to be one")
YEARS_AGO = timezone.now() - timedelta(days=1_000)


def happen(*names: str) -> None:
    actor = Actor.system("tests", door=Door.COMMAND)
    for name in names:
        record(f"tests.{name}.do", actor=actor, outcome=Outcome.DONE)


def seal(at: datetime) -> int:
    """Seal all there is, as if it were that moment."""
    return seal_events(SIGNER, below_xid=2**62, sealed_at=at, everywhere=True)


class AgingSession(DatabaseWrapper):
    """A session like the application's, in the same roles, but whose login is the owner's.

    So it can set the database's own clock back for what a test did before, in its transaction.
    """

    def _require_usable(self, connection) -> None:
        """The owner is a superuser, as whom nothing is done but age()."""


@pytest.fixture
def slow_clock(db) -> Iterator[None]:
    """Lets the test call age(); whatever else it does, it does in the roles of the application."""
    before = connections["default"]
    session = AgingSession({**before.settings_dict, **settings.DATABASE_OWNER}, "default")
    # The roles are named after the database, whose settings are those of the session before.
    session.set_tenant(before.tenant, before.include_public_schema)
    connections["default"] = session
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    finally:
        connections["default"] = before
        session.close()


def age(schema: str, *, days: int = 1_000, tables: tuple[str, ...] = ("event", "seal")) -> None:
    """Let what is in a trail have come so many days ago, as the database itself would know it.

    As the owner, with triggers off: nobody else can. Needs slow_clock.
    """
    columns = {"event": "entered_at", "seal": "made_at"}
    connection.ensure_connection()
    pgconn = connection.connection.pgconn
    role = pgconn.exec_(b"SELECT current_user").get_value(0, 0).decode()
    updates = "".join(
        f"UPDATE {schema}.core_audit{one} SET {columns[one]} = now() - interval '{days} days';"
        for one in tables
    )
    done = pgconn.exec_(
        "SET ROLE NONE; SET LOCAL session_replication_role = replica;"
        f'{updates} SET LOCAL session_replication_role = DEFAULT; SET ROLE "{role}"'.encode()
    )
    assert not done.error_message, done.error_message


@pytest.fixture
def old_trail(slow_clock, acme):
    """Three seals of years ago, and one of today."""
    seal(YEARS_AGO)
    happen("one", "two")
    seal(YEARS_AGO + timedelta(days=1))
    happen("three")
    seal(YEARS_AGO + timedelta(days=2))
    age(acme.schema_name)
    happen("today")
    seal(timezone.now())
    return acme


@pytest.fixture
def verify(capsys, monkeypatch, tmp_path):
    """Return a caller of ``audit verify`` without a server."""
    monkeypatch.setenv("EXECFABRIC_CONFIG", str(tmp_path / "none.json"))
    monkeypatch.setenv("EXECFABRIC_URL", "http://nowhere.invalid")

    def call(*words):
        code = 0
        try:
            main(["audit", "verify", *map(str, words), "--json"])
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        document = json.JSONDecoder().raw_decode(said.out)[0] if said.out.strip() else None
        return SimpleNamespace(code=code, document=document, said=said.err)

    return call
