"""Whatever a script prints, the log stays text that can be stored and shown."""

from __future__ import annotations

import base64
import time

from hypothesis import given
from hypothesis import strategies as st

from executors.contract import Outcome, StopReason, Stream
from executors.masking import Masker
from executors.script.log import RunLog
from tests.executors.conftest import RecordingSink, Runner


def test_nul_escapes_and_invalid_utf8_are_replaced(run: Runner) -> None:
    run(r"printf 'a\0b\033[31mred\233\377 \303\244\r\nend'", shell=True)

    assert run.sink.text() == "a�b�[31mred�� ä\nend"


def test_a_character_in_two_halves_stays_one(run: Runner) -> None:
    run(r"printf '\303'; sleep 0.4; printf '\244'", shell=True)

    assert run.sink.text() == "ä"


def test_lines_arrive_while_the_script_runs(run: Runner) -> None:
    class TimedSink(RecordingSink):
        def log(self, stream: Stream, text: str) -> None:
            super().log(stream, text)
            times.append(time.monotonic())

    times: list[float] = []
    run("import time\nprint('first')\ntime.sleep(0.6)\nprint('second')\n", sink=TimedSink())

    assert times[-1] - times[0] > 0.4


def test_the_log_is_cut_but_the_failure_is_still_known(run: Runner) -> None:
    result = run(
        "print('x' * 50_000)\nraise ValueError('after much talk')\n",
        limits={"log_bytes": 10_000},
    )

    assert len(run.sink.text()) == 10_000
    assert result.log_bytes_dropped > 40_000
    assert result.summary == "ValueError: after much talk"


def test_a_script_that_prints_without_end_is_stopped(run: Runner) -> None:
    result = run("yes | head -c 100000000\n", shell=True, limits={"log_bytes": 1000})

    assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.OUTPUT_LIMIT)
    assert len(run.sink.text()) == 1000


def test_a_hundred_megabytes_within_the_limit_do_not_hang(run: Runner) -> None:
    result = run(
        "head -c 100000000 /dev/zero\n",
        shell=True,
        limits={"log_bytes": 1000, "log_flood_bytes": 200_000_000},
    )

    assert result.outcome is Outcome.SUCCEEDED
    assert result.log_bytes_dropped == 100_000_000 - 1000


def test_log_pieces_are_few_and_bounded(run: Runner) -> None:
    run("for n in range(20_000):\n    print(n)\n")

    assert run.sink.text().splitlines() == [str(n) for n in range(20_000)]
    assert len(run.sink.pieces) < 100
    assert max(len(text) for _, text in run.sink.pieces) <= 16 * 1024


def test_secrets_reach_neither_log_nor_result_nor_error(run: Runner) -> None:
    secret = 'pa"ss wörd/42'
    result = run(
        """
        import base64, json, os, sys, time, urllib.parse
        def main():
            s = os.environ["EXECFABRIC_SECRET_TOKEN"]
            for spelled in (s, json.dumps(s), urllib.parse.quote(s), urllib.parse.quote_plus(s),
                            base64.b64encode(("user:" + s).encode()).decode()):
                print("<" + spelled + ">")
            sys.stdout.write(s[:5]); sys.stdout.flush(); time.sleep(0.3); print(s[5:])
            json.dump({"key": [s, {s: 1}]}, open(os.environ["EXECFABRIC_RESULT"], "w"))
            if os.path.exists("/"):
                raise RuntimeError("refused: " + s)
        """,
        secrets={"token": secret},
    )

    everything = run.sink.text() + result.model_dump_json()
    for spelled in (secret, "w\\u00f6rd", "w%C3%B6rd", base64.b64encode(b"wrd/42").decode()):
        assert spelled not in everything
    assert result.output == {"key": ["***", {"***": 1}]}
    assert result.summary == "RuntimeError: refused: ***"
    assert run.sink.text("stdout").splitlines()[-1] == "***"


@given(st.lists(st.text(alphabet="abc \n", max_size=8), max_size=30))
def test_a_secret_is_found_however_the_output_is_cut(pieces: list[str]) -> None:
    masker = Masker(["abca", "abcabb"])
    written: list[str] = []
    log = RunLog(lambda _, text: written.append(text), masker, keep_bytes=10_000)

    for number, piece in enumerate(pieces):
        log.feed("stdout", piece.encode(), number * 0.05)
        log.tick(number * 0.05)
    log.finish()

    assert "".join(written) == masker.mask("".join(pieces))


def log_of(
    *pieces: tuple[Stream, bytes], keep: int, secrets: list[str] | None = None
) -> tuple[str, list[int]]:
    written: list[str] = []
    left_out: list[int] = []

    def note(size_bytes: int) -> None:
        left_out.append(size_bytes)
        written.append("|")

    log = RunLog(
        lambda _, text: written.append(text),
        Masker(secrets or []),
        keep_bytes=keep,
        left_out=note,
    )
    for stream, data in pieces:
        log.feed(stream, data, 0.0)
    log.finish()
    return "".join(written), left_out


def test_of_a_log_that_is_too_long_beginning_and_end_are_kept() -> None:
    text, left_out = log_of(
        ("stdout", b"begin " + b"x" * 500), ("stderr", b"y" * 200 + b" end"), keep=100
    )

    assert text.startswith("begin xx")
    assert text.endswith("yyy end")
    assert len(text) == 100 + len("|")
    assert left_out == [506 + 204 - 100]


def test_a_log_that_fits_is_whole_in_order_and_nothing_is_left_out() -> None:
    pieces: list[tuple[Stream, bytes]] = [("stdout", b"a"), ("stderr", b"b")] * 50

    assert log_of(*pieces, keep=100) == ("ab" * 50, [])


def test_no_half_of_a_secret_stands_beside_what_is_left_out() -> None:
    secret = "correct-horse-battery"
    for length in range(300, 340):
        text, _ = log_of(
            ("stdout", b"." * 60), ("stdout", secret.encode() * length), keep=400, secrets=[secret]
        )

        assert "horse" not in text.replace("***", "")
        assert "rrect" not in text
        assert "atter" not in text


def test_the_end_of_a_long_log_takes_no_more_than_it_may_in_whatever_pieces_it_comes() -> None:
    log = RunLog(lambda _s, _t: None, Masker([]), keep_bytes=400_000)
    for number in range(300_000):
        log.feed("stdout" if number % 1000 else "stderr", b"1", 0.0)

    assert log._last.room == 100_000
    assert sum(len(data) for _, data in log._last.pieces) == 0
    for _ in range(300_000):
        log.feed("stdout", b"2", 0.0)
    assert sum(len(data) for _, data in log._last.pieces) == 100_000
    assert len(log._last.pieces) < 100
