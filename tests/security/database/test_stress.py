"""Eight tenants, eight threads, twenty thousand requests, while somebody kills connections."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import (
    DataError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.http import HttpResponse
from django.test import RequestFactory
from django_tenants.utils import schema_context
from psycopg import Error as PsycopgError
from psycopg import sql

from execfabric.core.actor import Actor, Door
from tenants.accounts.models import Account
from tenants.registry.middleware import TenantMiddleware
from tenants.registry.models import Tenant
from tenants.registry.services import OwnerRequest, open_tenant
from tests.owner import owner_connection

THREADS = 8
REQUESTS = 20_000
FURTHER = [f"stress-{number}" for number in range(6)]
BETWEEN_KILLS_S = 0.1
SHOWN = ("username", "display_name")
LOST = (
    "terminating connection",
    "server closed the connection",
    "connection is closed",
    "connection already closed",
    "consuming input failed",
    "sending query",
    "Could not switch to",
    "The connection broke as soon as it was made",
)

pytestmark = pytest.mark.xdist_group("stress")  # One run for all of them.
"""What PostgreSQL and psycopg say of a connection that was killed."""


class Planned(Exception):
    """The view raises it by intention."""


@dataclass
class Tally:
    """What the threads saw and did. Appending to a list and adding to a set are atomic."""

    foreign: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    written: set[tuple[str, str]] = field(default_factory=set)
    perhaps: set[tuple[str, str]] = field(default_factory=set)
    """Rows whose connection was killed around the commit: written or not."""
    done: list[str] = field(default_factory=list)
    kills: int = 0


class Requests:
    """One view behind the real middleware. Every row says in display_name whose it is."""

    def __init__(self, schemas: dict[str, str], at_start: dict[str, set[str]]) -> None:
        self.schemas = schemas
        self.at_start = at_start
        self.tally = Tally()
        self.numbers = iter(range(10**9))
        self.answer = TenantMiddleware(self.view)
        self.factory = RequestFactory()

    def send(self, dice: random.Random) -> None:
        name = dice.choice(list(self.schemas))
        what = dice.choice(WAYS)
        close_old_connections()  # As at the beginning of every request.
        request = self.factory.get("/", SERVER_NAME=f"{name}.localhost")
        request.what, request.dice, request.row = what, dice, None
        try:
            self.answer(request)
        except (Planned, DataError):
            pass
        except (OperationalError, InterfaceError, PsycopgError) as error:
            text = f"{error} {error.__cause__}"
            into = self.tally.lost if any(each in text for each in LOST) else self.tally.unexpected
            into.append(text)
            if request.row:
                self.tally.perhaps.add(request.row)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is in the tally
            self.tally.unexpected.append(f"{what}: {error!r}")
        else:
            if request.row:
                self.tally.written.add(request.row)
        self.tally.done.append(what)

    def view(self, request: Any) -> HttpResponse:
        getattr(self, request.what)(request, request.tenant.schema_name)
        return HttpResponse()

    def look(self, schema: str) -> None:
        """Read rows and note each that is not of schema."""
        for row in Account.objects.order_by("-pk").values_list(*SHOWN)[:3]:
            self.judge(row, schema)

    def judge(self, row: tuple[str, str], schema: str) -> None:
        username, whose = row
        if whose != schema and username not in self.at_start[schema]:
            self.tally.foreign.append(f"{username} of {whose} in {schema}")

    def add(self, schema: str) -> tuple[str, str]:
        username = f"{schema}-{next(self.numbers)}"
        Account.objects.create(username=username, display_name=schema)
        return schema, username

    def read(self, _request: Any, schema: str) -> None:
        self.look(schema)

    def read_where_it_is(self, _request: Any, schema: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user, current_schema()")
            role = f"{connection.settings_dict['NAME']}_{schema}"
            if cursor.fetchone() != (role, schema):
                self.tally.foreign.append(f"not in {schema}")
        shown = set(Tenant.objects.values_list("schema_name", flat=True))
        if shown != {schema}:
            self.tally.foreign.append(f"{shown} of the registry in {schema}")

    def write(self, request: Any, schema: str) -> None:
        request.row = (schema, f"{schema}-{next(self.numbers)}")
        with transaction.atomic():
            Account.objects.create(username=request.row[1], display_name=schema)

    def fail_in_a_transaction(self, _request: Any, schema: str) -> None:
        with transaction.atomic():
            self.add(schema)
            raise Planned

    def roll_back_a_savepoint(self, request: Any, schema: str) -> None:
        request.row = (schema, f"{schema}-{next(self.numbers)}")
        with transaction.atomic():
            Account.objects.create(username=request.row[1], display_name=schema)
            try:
                with transaction.atomic():
                    self.add(schema)
                    with schema_context(self.another(request, schema)):
                        Account.objects.exists()
                    raise Planned
            except Planned:
                self.look(schema)

    def switch_inside(self, request: Any, schema: str) -> None:
        other = self.another(request, schema)
        self.look(schema)
        with schema_context(other):
            self.look(other)
        self.look(schema)

    def iterate(self, request: Any, schema: str) -> None:
        other = self.another(request, schema)
        rows = Account.objects.values_list(*SHOWN)[:4]
        with transaction.atomic():
            for number, row in enumerate(rows.iterator(chunk_size=2)):
                self.judge(row, schema)
                if number == 1:
                    with schema_context(other):
                        Account.objects.exists()

    def fail_in_a_statement(self, _request: Any, schema: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    def another(self, request: Any, schema: str) -> str:
        return request.dice.choice([each for each in self.schemas.values() if each != schema])


WAYS = [
    "read",
    "read_where_it_is",
    "write",
    "fail_in_a_transaction",
    "roll_back_a_savepoint",
    "switch_inside",
    "iterate",
    "fail_in_a_statement",
]


@pytest.fixture(scope="module")
def eight(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, str]]:
    """The schemas of acme, globex and six more tenants, by name; removed again without a trace."""
    with django_db_blocker.unblock(), owner_connection() as owner:
        connection.set_schema_to_public()
        started = owner.execute("SELECT clock_timestamp()").fetchone()[0]
        actor = Actor.system("tests", door=Door.COMMAND)
        opened = {
            name: open_tenant(
                actor=actor, name=name, title=name, owner=OwnerRequest("otto", password="x" * 20)
            ).schema_name
            for name in FURTHER
        }
        others = Tenant.objects.filter(name__in=("acme", "globex"))
        schemas = {**dict(others.values_list("name", "schema_name")), **opened}
        connection.close()
        yield schemas
        remove(owner, opened, started)
        for schema in set(schemas.values()) - set(opened.values()):
            owner.execute(
                sql.SQL("DELETE FROM {} WHERE display_name = %s").format(
                    sql.Identifier(schema, "accounts_account")
                ),
                [schema],
            )


def remove(owner: Any, opened: dict[str, str], started: Any) -> None:
    owner.execute("SET session_replication_role = replica")  # The trail is append-only.
    owner.execute("DELETE FROM public.core_auditevent WHERE at >= %s", [started])
    owner.execute(
        "DELETE FROM public.registry_domain WHERE tenant_id IN"
        " (SELECT id FROM public.registry_tenant WHERE name = ANY (%s))",
        [list(opened)],
    )
    owner.execute("DELETE FROM public.registry_tenant WHERE name = ANY (%s)", [list(opened)])
    owner.execute("RESET session_replication_role")
    for schema in opened.values():
        role = sql.Identifier(f"{connection.settings_dict['NAME']}_{schema}")
        owner.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        owner.execute(sql.SQL("DROP ROLE {}").format(role))


def usernames(schema: str) -> set[str]:
    with owner_connection() as owner:
        table = sql.Identifier(schema, "accounts_account")
        found = owner.execute(sql.SQL("SELECT username FROM {}").format(table))
        return {name for (name,) in found}


def kill_until(finished: threading.Event, tally: Tally) -> None:
    dice = random.Random(7)
    with owner_connection() as owner:
        while not finished.wait(BETWEEN_KILLS_S):
            found = owner.execute(
                "SELECT pid FROM pg_stat_activity WHERE usename = %s",
                [connection.settings_dict["USER"]],
            ).fetchall()
            if found:
                owner.execute("SELECT pg_terminate_backend(%s)", dice.choice(found))
                tally.kills += 1


def run_thread(requests: Requests, seed: int) -> None:
    dice = random.Random(seed)
    try:
        for _ in range(REQUESTS // THREADS):
            requests.send(dice)
    finally:
        connection.close()


@pytest.fixture(scope="module")
def outcome(eight: dict[str, str], django_db_blocker: Any) -> Requests:
    """All requests, sent once."""
    requests = Requests(eight, {schema: usernames(schema) for schema in eight.values()})
    finished = threading.Event()
    with django_db_blocker.unblock():
        killer = threading.Thread(target=kill_until, args=(finished, requests.tally))
        killer.start()
        try:
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(lambda seed: run_thread(requests, seed), range(THREADS)))
        finally:
            finished.set()
            killer.join()
    return requests


def test_every_row_that_was_read_is_of_the_tenant_that_was_asked(outcome):
    assert outcome.tally.foreign == []


def test_every_request_was_sent_and_every_kind_of_it(outcome):
    assert len(outcome.tally.done) == REQUESTS
    assert all(count > 1000 for count in Counter(outcome.tally.done).values())


def test_requests_failed_by_intention_or_because_their_connection_was_killed(outcome):
    assert Counter(outcome.tally.unexpected) == {}
    assert outcome.tally.kills > 20
    assert 0 < len(outcome.tally.lost) <= outcome.tally.kills


def test_each_tenant_holds_what_its_requests_committed(outcome):
    assert len(outcome.tally.written) > 2000
    for schema in outcome.schemas.values():
        found = usernames(schema) - outcome.at_start[schema]
        written = {name for where, name in outcome.tally.written if where == schema}
        perhaps = {name for where, name in outcome.tally.perhaps if where == schema}

        assert written <= found <= written | perhaps
