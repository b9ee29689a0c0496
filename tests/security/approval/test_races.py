"""Two connections at once, with what they write committed: what one decided by, another changes."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, Door
from skills.batches import services as batches
from skills.catalogue.managing import services as managing
from skills.catalogue.models import Skill
from skills.catalogue.selectors import reason_withdrawn
from skills.executions import lifecycle, running, services
from skills.executions.approvals.models import Delegation, RunGrant
from skills.executions.states import Status
from skills.hot_update.recalling.services import recall_version
from tenants.accounts.actors import actor_for_account
from tenants.accounts.models import Account
from tests.conftest import tenant_named
from tests.factories.skills import make_skill
from tests.owner import owner_connection

from .cast import put_in_force, skill_of

WHY = "It writes to the wrong folder."
LONG_S = 120
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
    return actor_for_account(Account.objects.get(username=username), door=Door.API, is_proven=True)


def outcomes(*calls: Future[Any]) -> list[str]:
    """Return "done" or the name of the error of each, sorted."""
    errors = [call.exception(LONG_S) for call in calls]
    return sorted(type(error).__name__ if error else "done" for error in errors)


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
    verifying = Pause(monkeypatch, managing, "require_verified")

    edit = beside(
        acme,
        lambda: managing.edit_skill(
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


class TestOneRun:
    """Of a skill of high risk, that two others must approve."""

    @pytest.fixture
    def asked(self, acme):
        with schema_context(acme):
            put_in_force(actor("olivia"), high=(True, 2))
            asked = services.request_execution(
                actor=actor("oscar"), skill=skill_of("high"), inputs={"name": "Ada"}
            )
            yield services.confirm_execution(actor=actor("oscar"), execution=asked)

    def approve(self, username, asked):
        return lambda: services.approve_execution(actor=actor(username), execution=asked)

    def test_one_right_used_twice_in_the_same_moment_counts_once(
        self, acme, asked, beside, monkeypatch
    ):
        now = timezone.now()
        Delegation.objects.create(
            delegator=Account.objects.get(username="anna"),
            to_account=Account.objects.get(username="victor"),
            starts_at=now,
            ends_at=now + timedelta(hours=1),
        )
        first = Pause(monkeypatch, services, "demand_met")

        one = beside(acme, self.approve("anna", asked))
        assert first.reached.wait(LONG_S)
        others = [beside(acme, self.approve(who, asked)) for who in ("victor", "anna")]
        threading.Event().wait(0.3)
        first.goes_on.set()

        assert outcomes(one, *others) == ["Conflict", "Conflict", "done"]
        asked.refresh_from_db()
        assert asked.status == Status.AWAITING_APPROVAL

    def test_two_workers_that_try_at_once_start_it_once(self, acme, asked, beside):
        for who in ("anna", "olivia"):
            services.approve_execution(actor=actor(who), execution=asked)
        start = threading.Barrier(4)

        def claim():
            start.wait(LONG_S)
            return lifecycle.claim_in_turn(Actor.system("worker"), asked.pk)

        assert outcomes(*(beside(acme, claim) for _ in range(4))).count("done") == 1
        assert RunGrant.objects.filter(used_at__isnull=False).count() == 1

    def test_what_is_withdrawn_while_the_last_approves_does_not_start(
        self, acme, asked, beside, monkeypatch
    ):
        services.approve_execution(actor=actor("anna"), execution=asked)
        sam, tenant = self.of_the_platform()
        approving = Pause(monkeypatch, services, "record_consent")

        last = beside(acme, self.approve("olivia", asked))
        assert approving.reached.wait(LONG_S)
        recall = beside(
            "public",
            lambda: recall_version(actor=sam, tenant=tenant, skill="greet", number=1, reason=WHY),
        )
        assert recall.result(LONG_S)
        approving.goes_on.set()
        last.exception(LONG_S)

        running.run_execution(asked.pk)
        asked.refresh_from_db()
        assert (asked.status, asked.started_at) == (Status.CANCELLED, None)
        assert WHY in asked.error

    @staticmethod
    def of_the_platform():
        with schema_context("public"):
            return actor("sam"), tenant_named("acme")


def test_one_approval_of_a_batch_in_the_same_moment_counts_once(acme, beside):
    with schema_context(acme):
        put_in_force(actor("olivia"), low=(False, 2))
        oscar = actor("oscar")
        table = services.upload_file(actor=oscar, name="p.csv", content=io.BytesIO(b"name\nAda\n"))
        batch = batches.create_batch(actor=oscar, skill=skill_of("low"), source=table)
        batch = batches.start_batch(actor=oscar, batch=batch)
    start = threading.Barrier(3)

    def approve():
        anna = actor("anna")
        start.wait(LONG_S)
        return batches.approve_batch(actor=anna, batch=batch)

    said = outcomes(*(beside(acme, approve) for _ in range(3)))

    assert said == ["Conflict", "Conflict", "done"]
    with schema_context(acme):
        batch.refresh_from_db()
        assert batch.status == "awaiting_approval"
