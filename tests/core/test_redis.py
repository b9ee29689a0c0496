"""A thread's own line to Redis: answers in order, announcements between them, and a new one."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import pytest
import redis
from django.conf import settings

from execfabric.core import redis as lines
from execfabric.core import wake
from execfabric.core.redis import ask, client, drop_line, line

CHANNEL = "execfabric:tests:news"
LONG_S = 60.0


@pytest.fixture(autouse=True)
def fresh_line():
    drop_line()
    yield
    drop_line()


def hear_text():
    """Return the next text that is announced."""
    while (heard := line().hear(LONG_S)) is not None:
        if heard[0] == "message":
            return heard[2]
    return None


def test_announcements_between_answers_are_none_of_them():
    line().subscribe([CHANNEL])
    client().publish(CHANNEL, "one")

    assert ask(("ECHO", "a"), ("PUBLISH", CHANNEL, "two"), ("ECHO", "b")) == ["a", 1, "b"]
    assert [hear_text(), hear_text()] == ["one", "two"]


def test_a_new_wait_hears_nothing_of_the_one_before():
    line().subscribe([CHANNEL])
    client().publish(CHANNEL, "before")
    line().subscribe([CHANNEL, f"{CHANNEL}:more"])
    client().publish(CHANNEL, "after")

    assert hear_text() == "after"


def test_what_is_not_subscribed_to_any_more_is_not_heard():
    line().subscribe([CHANNEL])
    line().subscribe([f"{CHANNEL}:more"])
    client().publish(CHANNEL, "old")
    client().publish(f"{CHANNEL}:more", "new")

    assert hear_text() == "new"


def test_a_subscription_goes_along_with_what_is_asked_next():
    kept = line()
    kept.subscribe([CHANNEL], with_next=True)
    assert CHANNEL not in client().pubsub_channels()

    assert ask(("PUBLISH", CHANNEL, "one")) == [1]
    assert hear_text() == "one"


def test_a_subscription_that_waits_to_be_sent_is_sent_before_anything_is_waited_for():
    line().subscribe([CHANNEL], with_next=True)

    assert line().hear(LONG_S) == ["subscribe", CHANNEL, 1]


def test_subscriptions_that_wait_to_be_sent_are_all_sent_in_order():
    line().subscribe([CHANNEL], with_next=True)
    line().subscribe([CHANNEL, f"{CHANNEL}:more"], with_next=True)
    line().subscribe([CHANNEL], with_next=True)

    assert ask(("PUBLISH", CHANNEL, "one"), ("PUBLISH", f"{CHANNEL}:more", "two")) == [1, 0]
    assert hear_text() == "one"


def test_a_subscription_that_was_not_sent_is_a_new_one_still():
    assert line().subscribe([CHANNEL], with_next=True) == {CHANNEL}
    assert line().subscribe([CHANNEL]) == {CHANNEL}
    assert line().subscribe([CHANNEL]) == frozenset()


def test_silence_is_no_error():
    line().subscribe([CHANNEL])
    assert line().hear(LONG_S)[0] == "subscribe"
    assert line().hear(0.01) is None
    assert ask(("ECHO", "still there")) == ["still there"]


def kill_line():
    client().client_kill_filter(_id=line().ask(("CLIENT", "ID"))[0])


def test_a_line_that_died_meanwhile_is_replaced():
    kill_line()

    assert ask(("ECHO", "a")) == ["a"]


def test_a_wait_does_not_notice_that_the_line_died_before_it():
    with wake.listening("tests", waiter="oscar", is_first=True):
        pass
    kill_line()

    with wake.listening("tests", waiter="oscar", is_first=True) as listener:
        ask(("PUBLISH", wake._channel("tests"), "news"))
        heard = []

        def heeds(news):
            heard.append(news)
            return True

        listener.wait_until(lambda: True, enough=bool, timeout_s=LONG_S, heeds=heeds)
    assert heard == ["news"]


def test_a_wait_whose_line_was_replaced_leaves_the_new_one_alone():
    with wake.listening("tests", waiter="oscar"):
        kill_line()
        ask(("ECHO", "by a new line"))
        new = line()

    assert line() is new


def test_a_wait_whose_line_dies_looks_at_once():
    with wake.listening("tests", waiter="oscar", is_first=True) as listener:
        kill_line()
        assert listener.wait_until(lambda: "seen", enough=bool, timeout_s=LONG_S) == "seen"
        assert listener.is_deaf


def test_what_is_refused_is_raised_and_leaves_no_answer_behind():
    with pytest.raises(redis.ResponseError):
        ask(("NONSENSE",), ("ECHO", "never read"))

    assert ask(("ECHO", "next")) == ["next"]


def test_each_thread_has_its_own_and_it_ends_with_the_thread():
    ids = []
    thread = threading.Thread(target=lambda: ids.extend(ask(("CLIENT", "ID"))))
    thread.start()
    thread.join(LONG_S)

    assert ids != ask(("CLIENT", "ID"))
    assert ids[0] not in {int(each["id"]) for each in client().client_list()}


def test_who_is_interrupted_leaves_no_answer_behind(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(line()._connection, "read_response", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ask(("ECHO", "never read"))

    assert ask(("ECHO", "next")) == ["next"]


def test_an_older_protocol_of_the_url_is_not_that_of_a_line(monkeypatch):
    sign = "&" if "?" in settings.REDIS_URL else "?"
    url = f"{settings.REDIS_URL}{sign}protocol=2"
    older = redis.Redis.from_url(url, decode_responses=True)
    monkeypatch.setattr(lines, "client", lambda: older)
    line().subscribe([CHANNEL])
    client().publish(CHANNEL, "one")

    assert ask(("ECHO", "a")) == ["a"]
    assert hear_text() == "one"


def test_a_child_leaves_the_line_of_its_parent_alone():
    parents = line()
    child = os.fork()
    if not child:
        answer: list[str] = []
        with suppress(BaseException):
            answer = ask(("ECHO", "child"))
        os._exit(answer != ["child"])

    assert os.waitpid(child, 0)[1] == 0
    assert ask(("ECHO", "parent")) == ["parent"]
    assert line() is parents
