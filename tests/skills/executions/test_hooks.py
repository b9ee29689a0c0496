"""Owners hear what of theirs has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from django.db import connection

from execfabric.core.actor import current_schema
from skills.executions import hooks
from skills.executions.hooks import Owner, Together
from skills.executions.models import Execution
from tests.owner import owner_connection


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the last telling may take its time."""
    monkeypatch.setattr(hooks, "LAST_TELLING_S", 60)


def owner_that(hears: Callable[[Sequence[UUID]], None]) -> Owner:
    def scan(_now: datetime, _is_open: bool) -> None:
        raise AssertionError

    def origin_of(_execution: Execution) -> None:
        raise AssertionError

    return Owner(finished=hears, scan=scan, origin_of=origin_of)


def test_what_ends_at_about_the_same_time_is_told_at_once(acme: object) -> None:
    told: list[tuple[str, list[UUID]]] = []
    owner = owner_that(lambda ids: told.append((current_schema(), list(ids))))
    schema, ids = current_schema(), [uuid4() for _ in range(3)]
    together = Together()
    for each in ids:
        together.add(schema, owner, [each])
    together.start()
    together.stop()

    assert told == [(schema, ids)]


def test_an_owner_that_fails_keeps_no_other_from_hearing(acme: object) -> None:
    told: list[UUID] = []

    def fail(_ids: Sequence[UUID]) -> None:
        raise ValueError

    one = uuid4()
    together = Together()
    together.start()
    together.add(current_schema(), owner_that(fail), [uuid4()])
    together.add(current_schema(), owner_that(told.extend), [one])
    together.stop()

    assert told == [one]


def test_what_comes_while_others_are_told_is_told_before_the_end(acme: object) -> None:
    told: list[UUID] = []
    first, second = uuid4(), uuid4()
    schema, together = current_schema(), Together()
    ender = threading.Thread(target=together.stop)

    def hear(ids: Sequence[UUID]) -> None:
        told.extend(ids)
        if told == [first]:
            assert together.add(schema, owner, [second])
            ender.start()
            together._stopping.wait(60)

    owner = owner_that(hear)
    together.start()
    together.add(schema, owner, [first])
    together._thread.join(60)
    ender.join(60)

    assert told == [first, second]
    assert not together.add(schema, owner, [uuid4()])  # Nobody would tell it.


def test_a_connection_that_died_meanwhile_keeps_nobody_from_hearing(acme: object) -> None:
    backends: list[int] = []
    told = threading.Event()

    def hear(_ids: Sequence[UUID]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backends.append(cursor.fetchone()[0])
        told.set()

    owner, together = owner_that(hear), Together()
    together.start()
    together.add(current_schema(), owner, [uuid4()])
    assert told.wait(60)
    with owner_connection() as server:
        server.execute("SELECT pg_terminate_backend(%s, 60000)", backends)
    together.add(current_schema(), owner, [uuid4()])
    together.stop()

    assert len(set(backends)) == 2
