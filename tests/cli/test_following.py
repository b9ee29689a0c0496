"""Pieces of log become lines again."""

from __future__ import annotations

from cli.following import LONGEST_LINE, LogLines


def lines_of(*chunks: tuple[str, str]) -> list[tuple[str, str]]:
    shown: list[tuple[str, str]] = []
    lines = LogLines(lambda stream, line: shown.append((stream, line)))
    for stream, text in chunks:
        lines.add({"stream": stream, "text": text})
    lines.flush()
    return shown


def test_a_line_that_comes_in_pieces_is_shown_once_and_streams_do_not_mix() -> None:
    shown = lines_of(("stdout", "on"), ("stderr", "oops\n"), ("stdout", "e\ntwo"))

    assert shown == [("stderr", "oops"), ("stdout", "one"), ("stdout", "two")]


def test_a_line_without_end_is_shown_in_pieces_and_not_kept() -> None:
    lines = LogLines(lambda _stream, line: shown.append(line))
    shown: list[str] = []
    for _ in range(100):
        lines.add({"stream": "stdout", "text": "x" * 32_768})
        assert sum(map(len, lines._pending.values())) <= LONGEST_LINE
    lines.flush()

    assert "".join(shown) == "x" * 32_768 * 100
    assert max(map(len, shown)) == LONGEST_LINE


def test_of_a_bar_that_is_drawn_anew_the_last_version_is_shown() -> None:
    shown = lines_of(*(("stderr", f"{n:>40} %\r") for n in range(10_000)), ("stderr", "done\n"))

    assert shown == [("stderr", "done")]
