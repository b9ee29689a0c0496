"""The log of a run on its way to the database and to who reads it."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import OperationalError
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from execfabric.core import wake
from execfabric.core.actor import Actor
from executors.contract import ExecutionResult, Outcome, StopReason
from skills.executions import lifecycle, live_log, presentation, running, services, waiting
from skills.executions.live_log import CHUNK_CHARS, LiveSink
from skills.executions.models import LogChunk
from skills.executions.selectors import log_end
from skills.executions.states import Status
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
GONE = OperationalError("the server closed the connection")


@pytest.fixture
def oscar(person):
    return person("oscar")


@pytest.fixture
def claimed(oscar):
    execution = services.request_execution(actor=oscar.actor, skill=make_skill(), inputs={})
    return lifecycle.claim_execution(actor=Actor.system("worker"), execution_id=execution.pk)


@pytest.fixture
def sink(claimed):
    return LiveSink(claimed, alive=lambda: True)


@pytest.fixture
def announced(monkeypatch):
    """What waiters are told from here on."""
    news = []
    monkeypatch.setattr(wake, "announce", lambda _topic, kind: news.append(kind))
    return news


@pytest.fixture(autouse=True)
def kept_connection(monkeypatch):
    """The worker lets go of a connection that failed; a test's holds its transaction."""
    monkeypatch.setattr(live_log.connections, "close_all", lambda: None)


def finish(execution, news):
    result = ExecutionResult(outcome=Outcome.SUCCEEDED, stop_reason=StopReason.EXITED)
    return lifecycle.finish_execution(
        actor=Actor.system("worker"), execution=execution, result=result, artifacts=[], news=news
    )


def text_of(execution):
    return "".join(chunk.plain for chunk in execution.log_chunks.all())


def test_a_short_run_tells_nobody_of_its_log_but_has_one(oscar, announced):
    execution = services.request_execution(actor=oscar.actor, skill=make_skill(), inputs={})

    running.run_execution(str(execution.pk))

    assert lifecycle.LOG not in announced
    assert "greeting" in text_of(execution)


def test_what_has_gathered_is_stored_at_once_and_told_once(sink, claimed, announced):
    for number in range(100):
        sink.log("stdout", f"{number}\n")
        sink.progress(number / 100, "counting")
    sink.store()
    sink.store()

    assert announced == [lifecycle.LOG]
    assert text_of(claimed) == "".join(f"{number}\n" for number in range(100))
    assert claimed.log_chunks.count() == 1
    claimed.refresh_from_db()
    assert claimed.progress_fraction == 0.99


def test_a_run_that_says_nothing_is_told_to_run_once(sink, announced):
    sink.store()
    sink.store()

    assert announced == [Status.RUNNING]


def test_the_end_takes_what_nobody_has_stored(sink, claimed):
    sink.log("stdout", "first\n")
    sink.store()
    sink.log("stderr", "second\n")
    sink.progress(0.5, "half")

    finish(claimed, sink.rest())
    sink.log("stdout", "too late\n")
    sink.store()

    assert text_of(claimed) == "first\nsecond\n"
    claimed.refresh_from_db()
    assert (claimed.progress_fraction, claimed.progress_message) == (0.5, "half")


def test_a_database_that_is_away_costs_neither_time_nor_order(sink, claimed, monkeypatch):
    real, answers = lifecycle.append_log, iter([None, GONE, GONE])

    def append(*args, **kwargs):
        answer = next(answers, None)
        if answer:
            raise answer
        real(*args, **kwargs)

    monkeypatch.setattr(lifecycle, "append_log", append)
    monkeypatch.setattr(live_log, "RETRY_S", 0)
    for number in range(6):
        sink.log("stdout", f"{number}")
        sink.store()
    stored_while_it_ran = text_of(claimed)
    finish(claimed, sink.rest())

    assert stored_while_it_ran == "012345"
    assert [chunk.seq for chunk in claimed.log_chunks.all()] == [1, 2, 3, 4, 5, 6]


def test_a_database_that_failed_is_left_in_peace_for_a_while(sink, monkeypatch):
    calls = []

    def fail(*_args, **_kwargs):
        calls.append(1)
        raise GONE

    monkeypatch.setattr(lifecycle, "append_log", fail)
    sink.log("stdout", "x")
    for _ in range(5):
        sink.store()

    assert len(calls) == 1


def test_a_piece_that_hangs_holds_up_neither_the_run_nor_its_end(sink, claimed, monkeypatch):
    """It may be stored after all, before the end or after it: it is there once."""
    real, hangs, over = lifecycle.append_log, threading.Event(), threading.Event()

    def hang(*_args, **_kwargs):
        hangs.set()
        over.wait(120)
        raise GONE

    monkeypatch.setattr(lifecycle, "append_log", hang)
    monkeypatch.setattr(live_log, "LAST_STORE_S", 0.1)
    sink.log("stdout", "first\n")
    storing = threading.Thread(target=sink.store)
    storing.start()
    assert hangs.wait(60)

    began_at = time.monotonic()
    for _ in range(1000):
        sink.log("stdout", "more\n")
    rest = sink.rest()
    assert time.monotonic() - began_at < 5
    first = rest.log[0]
    real(claimed, seq=first.seq, stream=first.stream, text=first.text)
    finish(claimed, rest)
    over.set()
    storing.join(60)

    assert text_of(claimed) == "first\n" + 1000 * "more\n"


def test_the_newest_progress_is_in_the_end_although_storing_it_hangs(sink, claimed, monkeypatch):
    hangs, over = threading.Event(), threading.Event()

    def hang(*_args, **_kwargs):
        hangs.set()
        over.wait(120)
        raise GONE

    monkeypatch.setattr(lifecycle, "note_progress", hang)
    monkeypatch.setattr(live_log, "LAST_STORE_S", 0.1)
    sink.progress(1.0, "all done")
    storing = threading.Thread(target=sink.store)
    storing.start()
    assert hangs.wait(60)

    finish(claimed, sink.rest())
    over.set()
    storing.join(60)

    claimed.refresh_from_db()
    assert (claimed.progress_fraction, claimed.progress_message) == (1.0, "all done")


def test_progress_that_comes_while_an_older_one_is_stored_is_stored_next(
    sink, claimed, monkeypatch
):
    real = lifecycle.note_progress

    def note(execution, **progress):
        real(execution, **progress)
        if progress["fraction"] < 1:
            sink.progress(1.0, "all done")

    monkeypatch.setattr(lifecycle, "note_progress", note)
    sink.progress(0.5, "half")
    sink.store()
    sink.store()

    claimed.refresh_from_db()
    assert claimed.progress_fraction == 1.0
    assert sink.rest().progress is None


def test_the_same_piece_twice_is_there_once_and_a_run_that_is_over_takes_none(claimed):
    for _ in range(2):
        lifecycle.append_log(claimed, seq=1, stream="stdout", text="once\n")
    stale = type(claimed).objects.get(pk=claimed.pk)
    finish(claimed, running.LiveSink(claimed, alive=lambda: True).rest())

    with pytest.raises(lifecycle.StaleLease):
        lifecycle.append_log(stale, seq=1, stream="stdout", text="again\n")
    assert text_of(claimed) == "once\n"


def test_streams_that_take_turns_fill_few_rows_and_stay_apart(sink, claimed, oscar):
    for number in range(2000):
        sink.log("stdout", f"o{number}\n")
        sink.log("stderr", f"e{number}\n")
    finish(claimed, sink.rest())

    assert claimed.log_chunks.count() == 1
    turns = (("stdout", "o"), ("stderr", "e"))
    wanted = [(stream, f"{mark}{n}\n") for n in range(2000) for stream, mark in turns]
    assert claimed.log_chunks.get().pieces == wanted
    page = oscar.api.get(f"/api/v1/executions/{claimed.pk}/log").json()
    assert len(page["chunks"]) == 4000
    assert page["chunks"][1] | {"at": ""} == {
        "seq": 1, "stream": "stderr", "text": "e0\n", "at": "",
    }  # fmt: skip
    assert (page["cursor"], page["final"]) == (1, True)


@given(
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(min_size=1, max_size=50)),
        min_size=1,
    )
)
def test_a_chunk_gives_back_the_pieces_it_was_made_of(pieces):
    clean = [(stream, live_log.clean(live_log.storable(text))) for stream, text in pieces]
    stream, text = LogChunk.packed(clean)

    assert LogChunk(stream=stream, text=text).pieces == clean


def test_chunks_are_bounded_whatever_an_executor_hands_over(sink, claimed):
    sink.log("stdout", "ä" * (3 * CHUNK_CHARS + 1))
    sink.log("stdout", "\x00\x0e\x1b[31m\ud800")
    finish(claimed, sink.rest())

    assert max(len(chunk.text) for chunk in claimed.log_chunks.all()) == CHUNK_CHARS
    assert text_of(claimed) == "ä" * (3 * CHUNK_CHARS + 1) + "\ufffd\ufffd\ufffd[31m?"


def test_an_executor_that_bounds_nothing_is_bounded(claimed):
    sink = LiveSink(claimed, alive=lambda: True, keep_chars=1000)
    for _ in range(100):
        sink.log("stdout", "x" * 100)
    finish(claimed, sink.rest())

    *kept, notice = claimed.log_chunks.all()
    assert "".join(chunk.text for chunk in kept) == "x" * 1000
    assert notice.stream == "notice"
    assert "8.8 KiB left out" in notice.text


class TestLongLogs:
    @pytest.fixture
    def long(self, sink, claimed):
        for number in range(40):
            sink.log("stdout", f"{number:06}\n" * (CHUNK_CHARS // 7))
            sink.store()
        return claimed

    def test_the_page_gets_the_end_and_says_how_much_is_left_out(self, long):
        chunks, left_out = log_end(long, 0, chars=100_000)
        lines = presentation.log_lines(chunks, left_out)

        assert 60_000 < sum(len(text) for _, text in lines) < 110_000
        assert lines[-1][1].endswith("000039\n")
        assert lines[0][0] == "notice"
        assert "left out here" in lines[0][1]
        assert left_out + sum(len(chunk.text) for chunk in chunks) == 40 * 7 * (CHUNK_CHARS // 7)

    def test_a_page_that_has_most_of_it_gets_only_the_rest(self, long):
        assert [chunk.seq for chunk in log_end(long, 38, chars=100_000)[0]] == [39, 40]

    def test_nothing_is_left_out_of_many_short_pieces(self, sink, claimed):
        for number in range(100):
            sink.log("stdout", f"{number}\n")
            sink.store()

        chunks, left_out = log_end(claimed, 0, chars=100_000)

        assert (len(chunks), left_out) == (100, 0)

    def test_the_page_says_it_and_offers_the_whole(self, long, oscar):
        page = oscar.browser.get(f"/executions/{long.pk}/").content.decode()
        whole = oscar.browser.get(reverse("executions:execution-log", args=[long.pk]))

        assert len(page) < 500_000
        assert "left out here" in page
        assert len(whole.content) == 40 * 7 * (CHUNK_CHARS // 7)

    def test_a_reader_of_the_api_gets_all_of_it_in_order_after_any_cursor(self, long, oscar):
        finish(long, LiveSink(long, alive=lambda: True).rest())
        waiting_limit, waiting.CHUNKS_AT_ONCE = waiting.CHUNKS_AT_ONCE, 7
        try:
            text, cursor, final = "", 0, False
            while not final:
                page = oscar.api.get(f"/api/v1/executions/{long.pk}/log?after={cursor}").json()
                text += "".join(chunk["text"] for chunk in page["chunks"])
                cursor, final = page["cursor"], page["final"]
        finally:
            waiting.CHUNKS_AT_ONCE = waiting_limit

        assert text == text_of(long)


def test_a_script_that_prints_without_measure_keeps_beginning_and_end(oscar):
    code = (
        "def main():\n"
        "    print('the beginning')\n"
        "    for _ in range(200_000):\n"
        "        print('x' * 79)\n"
        "    print('the end')\n"
    )
    execution = services.request_execution(
        actor=oscar.actor, skill=make_skill(code=code), inputs={}
    )

    running.run_execution(str(execution.pk))

    execution.refresh_from_db()
    text = text_of(execution)
    assert text.startswith("the beginning\n")
    assert text.endswith("the end\n")
    assert "MiB left out here" in text
    assert execution.log_bytes_dropped == 16_000_022 - 10 * 2**20
    assert len(text.replace(execution.log_chunks.get(stream="notice").text, "")) == 10 * 2**20
