"""Waiting holds a thread of the web server, so there is room for a few only."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from execfabric.core import wake
from execfabric.core.redis import ask, client

LONG_S = 120.0


@pytest.fixture
def waiters():
    """Start waits that hold their seat until the test is over; ``waiters("oscar")`` starts one."""
    over = threading.Event()
    threads = []

    def start(who):
        seated = threading.Event()

        def look():
            seated.set()
            return over.is_set()

        thread = threading.Thread(
            target=wake.wait_until,
            args=("tests", look),
            kwargs={"enough": bool, "timeout_s": LONG_S, "waiter": who},
        )
        thread.start()
        threads.append(thread)
        assert seated.wait(60)
        return thread

    yield start
    over.set()
    while any(thread.is_alive() for thread in threads):
        client().publish(wake._channel("tests"), "1")
        time.sleep(0.02)


def waits(who):
    """Return whether a wait of who is held open, instead of answered after one look."""
    looks = []
    wake.wait_until("nothing", lambda: looks.append(1), enough=bool, timeout_s=0.5, waiter=who)
    return len(looks) > 1


def test_one_account_cannot_take_all_the_room(waiters, settings):
    settings.WAITERS, settings.WAITERS_OF_ONE_ACCOUNT = 4, 2
    held = [waiters("oscar"), waiters("oscar")]

    assert not waits("oscar")
    assert waits("dana")
    assert all(thread.is_alive() for thread in held)


def test_above_the_room_of_the_process_everybody_is_answered_at_once(waiters, settings):
    settings.WAITERS, settings.WAITERS_OF_ONE_ACCOUNT = 3, 2
    for who in ("oscar", "dana", "gina"):
        waiters(who)

    assert not waits("anna")


def test_a_seat_is_free_again_after_the_wait_even_one_that_failed(settings):
    settings.WAITERS = settings.WAITERS_OF_ONE_ACCOUNT = 1

    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wake.wait_until("tests", fail, enough=bool, timeout_s=1, waiter="oscar")

    assert waits("oscar")
    assert waits("oscar")


def test_the_same_name_in_another_tenant_is_another_account(waiters, settings, monkeypatch):
    settings.WAITERS, settings.WAITERS_OF_ONE_ACCOUNT = 4, 1
    waiters("oscar")

    with monkeypatch.context() as elsewhere:  # The held one is to hear its end where it waits.
        elsewhere.setattr(wake, "current_schema", lambda: "tenant_1002")
        assert waits("oscar")


def test_a_wait_leaves_half_of_the_threads_to_others_and_holds_no_transaction(settings):
    from execfabric.embedded.demo import WEB_THREADS

    assert settings.WAITERS <= WEB_THREADS // 2
    assert settings.WAITERS_OF_ONE_ACCOUNT < settings.WAITERS
    assert not settings.DATABASES["default"].get("ATOMIC_REQUESTS")


def publish(news):
    """Tell waiters as ``announce`` does after a commit."""
    client().publish(wake._channel("tests"), news)


def test_news_of_a_kind_a_waiter_does_not_wait_for_is_no_reason_to_look(settings):
    looks, over = [], threading.Event()

    def look():
        looks.append(time.monotonic())
        return over.is_set()

    def wait():
        wake.wait_until(
            "tests",
            look,
            enough=bool,
            timeout_s=LONG_S,
            waiter="oscar",
            heeds=lambda news: news != "log",
        )

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not looks:
        time.sleep(0.01)
    for _ in range(20):
        publish("log")
    over.set()
    publish("succeeded")
    waiting.join(60)

    assert not waiting.is_alive()
    assert len(looks) == 2


def test_who_listens_first_hears_what_the_block_brings_about():
    for number in range(100):
        heard = []
        with wake.listening("tests", waiter="oscar", is_first=True) as listener:
            ask(("PUBLISH", wake._channel("tests"), f"{number}"))
            listener.wait_until(
                lambda: True,
                enough=bool,
                timeout_s=LONG_S,
                heeds=lambda news: heard.append(news) or True,  # noqa: B023
            )
        assert heard == [f"{number}"]


def test_who_waits_looks_again_when_nothing_is_announced(monkeypatch):
    monkeypatch.setattr(wake, "LONGEST_SILENCE_S", 0.05)
    looks = []

    wake.wait_until(
        "tests",
        lambda: looks.append(1) or len(looks) == 3,
        enough=bool,
        timeout_s=LONG_S,
        waiter="oscar",
    )

    assert len(looks) == 3


def test_all_waits_of_a_schema_are_ended_and_those_of_no_other(
    waiters, db, django_capture_on_commit_callbacks
):
    waiting = waiters("oscar")

    def end(schema):
        with django_capture_on_commit_callbacks(execute=True):
            wake.end_waits(schema)

    end("tenant_9999")
    waiting.join(0.3)
    assert waiting.is_alive()
    end("public")  # Where this test waits.
    waiting.join(60)
    assert not waiting.is_alive()


@pytest.mark.parametrize(
    ("error", "asked"), [(redis.TimeoutError("no answer"), 1), (redis.ConnectionError("no"), 3)]
)
def test_who_does_not_answer_is_left_alone_for_a_while(
    db, monkeypatch, django_capture_on_commit_callbacks, error, asked
):
    """Each attempt would take its timeout; one that is refused takes none."""
    calls = []

    def away(*_commands):
        calls.append(1)
        raise error

    monkeypatch.setattr(wake, "ask", away)
    monkeypatch.setattr(wake, "_silent_until", 0.0)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            wake.announce("tests", "news")

    assert len(calls) == asked
