"""Two connections at once, with what they write committed: what one decided by, another changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, Door
from skills.catalogue import services as catalogue
from skills.catalogue.managing.services import edit_skill
from skills.catalogue.models import Skill
from skills.catalogue.selectors import reason_withdrawn
from skills.hot_update.recalling.services import recall_version
from tenants.accounts.actors import actor_for_account
from tenants.accounts.models import Account
from tests.conftest import tenant_named
from tests.factories.skills import make_skill
from tests.owner import owner_connection

WHY = "It writes to the wrong folder."
LONG_S = 20
WRITTEN = ("batches_%", "executions_%", "catalogue_%", "core_auditevent", "hot_update_%")


@pytest.fixture
def acme(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The schema of acme with no transaction around the test; what it leaves is removed again."""
    with django_db_blocker.unblock(), owner_connection() as owner:
        connection.set_schema_to_public()
        schema = str(tenant_named("acme").schema_name)
        owner.execute("SET session_replication_role = replica")
        (since,) = owner.execute("SELECT clock_timestamp()").fetchone() or (None,)
        yield schema
        tables = owner.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)"
            " AND tablename LIKE ANY(%s)",
            [[schema, "public"], list(WRITTEN)],
        ).fetchall()
        for table in tables:
            name = f'"{table[0]}"."{table[1]}"'
            of_audit = table[1] == "core_auditevent"
            owner.execute(f"DELETE FROM {name}" + (" WHERE at >= %s" if of_audit else ""),
                          [since] if of_audit else [])  # fmt: skip
        connection.set_schema_to_public()
        connection.close()


@pytest.fixture
def beside(acme: str) -> Iterator[Callable[..., Future[Any]]]:
    """Return what calls something in another thread, on a connection of its own."""
    with ThreadPoolExecutor(4) as threads:

        def call(schema: str, what: Callable[[], Any]) -> Future[Any]:
            def run() -> Any:
                try:
                    with schema_context(schema):
                        return what()
                finally:
                    connection.close()

            return threads.submit(run)

        yield call


def actor(username: str) -> Actor:
    return actor_for_account(Account.objects.get(username=username), door=Door.API)


class Pause:
    """Stops whoever calls the function in its place until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
        self.reached, self.goes_on = threading.Event(), threading.Event()
        before = getattr(module, name)

        def stopping(*args: Any, **kwargs: Any) -> Any:
            self.reached.set()
            assert self.goes_on.wait(LONG_S)
            return before(*args, **kwargs)

        monkeypatch.setattr(module, name, stopping)


def test_a_version_that_is_made_while_its_files_are_withdrawn_does_not_run(
    acme, beside, monkeypatch
):
    with schema_context(acme):
        make_skill(manifest='title = "Greet"\n')
        skill, olivia = Skill.objects.get(), actor("olivia")
    sam, tenant = actor("sam"), tenant_named("acme")
    verifying = Pause(monkeypatch, catalogue, "require_verified")

    edit = beside(
        acme,
        lambda: edit_skill(
            actor=olivia, skill=skill, changes={"title": "Hello"}, reason="It is nicer."
        ),
    )
    assert verifying.reached.wait(LONG_S)
    recall = beside(
        "public",
        lambda: recall_version(actor=sam, tenant=tenant, skill="greet", number=1, reason=WHY),
    )
    threading.Event().wait(0.5)  # It is through, or waits for the edit.
    verifying.goes_on.set()
    edit.result(LONG_S)
    recall.result(LONG_S)

    with schema_context(acme):
        assert reason_withdrawn(Skill.objects.get()) == WHY
