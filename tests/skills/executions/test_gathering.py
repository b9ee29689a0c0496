"""What gathers in a thread waits for others, but only while others are expected."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from skills.executions.gathering import Gathering

FOREVER_S = 600.0


class Noting(Gathering[str, int]):
    failed = "tests.failed"

    def __init__(self, **given: object) -> None:
        super().__init__("noting", gathered_s=FOREVER_S, **given)  # type: ignore[arg-type]
        self.done: list[list[int]] = []
        self.did = threading.Event()

    def do(self, kind: str, items: Sequence[int]) -> None:
        self.done.append(list(items))
        self.did.set()


@pytest.fixture
def expected() -> threading.Event:
    """Whether more is expected; it is at first."""
    event = threading.Event()
    event.set()
    return event


@pytest.fixture
def noting(db: None, expected: threading.Event) -> Iterator[Noting]:
    noting = Noting(expects_more=expected.is_set)
    noting.start()
    yield noting
    noting.stop(60)


def test_what_was_taken_waits_for_others_while_they_are_expected(noting: Noting) -> None:
    noting.take("a", [1])
    assert not noting.did.wait(0.2)
    noting.take("a", [2])
    noting.stop(60)

    assert noting.done == [[1, 2]]


def test_none_waits_where_no_other_is_expected(noting: Noting, expected: threading.Event) -> None:
    expected.clear()
    noting.take("a", [1])

    assert noting.did.wait(60)
    assert noting.done == [[1]]


def test_who_waits_already_goes_on_in_a_hurry(noting: Noting) -> None:
    noting.hurry()  # There is nothing: it is not for what comes later.
    noting.take("a", [1])
    assert not noting.did.wait(0.2)
    noting.hurry()

    assert noting.did.wait(60)
    assert noting.done == [[1]]
