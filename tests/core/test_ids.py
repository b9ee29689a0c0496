"""Identifiers sort as they were made, and tell when."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from execfabric.core import ids
from execfabric.core.ids import lowest_uuid7, uuid7


def test_those_of_one_millisecond_sort_as_they_were_made():
    made = [uuid7() for _ in range(10_000)]

    assert made == sorted(set(made))
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}


def test_a_clock_that_is_set_back_changes_no_order(monkeypatch):
    monkeypatch.setattr(ids, "_last", ids._last)
    first = uuid7()
    past = time.time_ns() - 60 * 10**9
    monkeypatch.setattr("execfabric.core.ids.time.time_ns", lambda: past)

    assert uuid7() > first


def test_a_clock_that_was_an_hour_ahead_is_believed_when_it_is_right_again(monkeypatch):
    monkeypatch.setattr(ids, "_last", ids._last)
    now, hour = time.time_ns(), 3600 * 10**9
    monkeypatch.setattr("execfabric.core.ids.time.time_ns", lambda: now + hour)
    uuid7()
    monkeypatch.setattr("execfabric.core.ids.time.time_ns", lambda: now)

    assert uuid7() < lowest_uuid7(datetime.now(UTC) + timedelta(minutes=1))


def test_they_tell_when_they_were_made():
    before = datetime.now(UTC)
    made = uuid7()

    assert lowest_uuid7(before) < made < lowest_uuid7(before + timedelta(minutes=1))


def test_the_next_cannot_be_told_from_the_last():
    made = [uuid7().int for _ in range(1000)]
    steps = {after - before for before, after in pairwise(made)}

    assert len(steps) == 999
    assert min(steps) > 2**20
