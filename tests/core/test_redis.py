"""The connection to Redis that a thread keeps for the commands of each run."""

from __future__ import annotations

import socket
import threading

import pytest
import redis

from execfabric.core.redis import _own_connection, ask, client, tell


def test_a_thread_asks_by_the_same_connection_each_time():
    assert ask("CLIENT", "ID") == ask("CLIENT", "ID")


def test_a_connection_that_broke_meanwhile_is_opened_again():
    before = ask("CLIENT", "ID")
    _own_connection()._sock.shutdown(socket.SHUT_RDWR)

    assert ask("CLIENT", "ID") != before


def test_what_redis_refuses_is_raised_and_the_next_answer_is_its_own():
    with pytest.raises(redis.ResponseError):
        ask("NO-SUCH-COMMAND")

    assert ask("ECHO", "next") == "next"


def test_several_commands_go_together_also_by_a_connection_that_broke():
    _own_connection()._sock.shutdown(socket.SHUT_RDWR)
    tell([("SET", "execfabric:test:a", "1"), ("RENAME", "execfabric:test:a", "execfabric:test:b")])

    assert ask("GETDEL", "execfabric:test:b") == "1"


def test_one_that_is_refused_among_several_leaves_no_answers_behind():
    with pytest.raises(redis.ResponseError):
        tell([("ECHO", "1"), ("NO-SUCH-COMMAND",), ("ECHO", "3")])

    assert ask("ECHO", "next") == "next"


def test_a_thread_that_ends_gives_its_connection_back():
    asked = []
    thread = threading.Thread(target=lambda: asked.append(ask("CLIENT", "ID")))
    thread.start()
    thread.join()

    assert str(asked[0]) in {each["id"] for each in client().client_list()}  # It is not closed.
    assert ask("CLIENT", "ID") != asked[0]
    assert client().client_id() == asked[0]  # The pool lends it.
