"""Owners hear what of theirs has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from execfabric.core.actor import current_schema
from skills.executions.hooks import Owner, Together
from skills.executions.models import Execution


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
