from __future__ import annotations

import json
from typing import Any

import pytest

from cli import output
from cli.commands import reports
from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.following import LogLines, progress_text
from cli.output import Screen
from cli.terminal import clean, clean_line

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢\n\ttab", "plain ü 漢\n\ttab"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb", "a\\x0db"),
        ("a\r\nb", "a\nb"),
        ("\x1b\x1b[0m[2J", "\\x1b[2J"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_neutralised(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_name_stays_on_one_line() -> None:
    assert clean_line("a\nb\n\n  c") == "a b c"


def shown(capsys: Capture, value: Any) -> str:
    Screen().show(output.result(value))
    return capsys.readouterr().out


def test_a_list_of_objects_becomes_a_table(capsys: Capture) -> None:
    lines = shown(capsys, [{"name": "Ann", "sum": 1}, {"name": "Bob", "ok": True}]).splitlines()

    assert lines[0].split() == ["name", "sum", "ok"]
    assert lines[2].split() == ["Ann", "1"]
    assert lines[3].split() == ["Bob", "yes"]


def test_an_object_becomes_names_and_values(capsys: Capture) -> None:
    text = shown(capsys, {"total": 12.5, "rows": [{"a": 1}], "deep": {"x": [1]}})

    assert ["total", "12.5"] in [line.split() for line in text.splitlines()]
    assert '{"x": [1]}' in text


def test_server_text_is_never_markup(capsys: Capture) -> None:
    assert "[red]x[/red] :smile: [link=http://a]b" in shown(
        capsys, "[red]x[/red] :smile: [link=http://a]b"
    )


@pytest.mark.parametrize("value", [None, [], {}, "", 0, [[1], {}], [None], {"a": None}, [{}]])
def test_every_json_value_can_be_shown(capsys: Capture, value: Any) -> None:
    assert "Traceback" not in shown(capsys, value)


def test_a_long_table_says_how_much_is_left_out(capsys: Capture) -> None:
    assert "and 50 more" in shown(capsys, [{"n": number} for number in range(250)])


def test_json_goes_alone_to_standard_output(capsys: Capture) -> None:
    screen = Screen(as_json=True)
    screen.show("for people")
    screen.log_line("stdout", "a line")
    screen.json({"name": "ü\u202e\x9b\ud800", "n": 1})

    streams = capsys.readouterr()
    assert json.loads(streams.out) == {"name": "ü\u202e\x9b\ud800", "n": 1}
    assert not set(streams.out) & set("\u202e\x9b\ud800")
    assert "for people" in streams.err
    assert "a line" in streams.err


def test_an_error_lists_its_fields_and_the_request_id_of_a_server_fault(capsys: Capture) -> None:
    error = CliError("Broken.", ExitCode.UNREACHABLE, fields={"month": "odd"}, request_id="req-7")

    Screen(as_json=True).error(error)

    streams = capsys.readouterr()
    assert "Error: Broken." in streams.err
    assert "month odd" in streams.err
    assert "req-7" in streams.err
    assert json.loads(streams.out)["error"]["exit_code"] == 10


def test_a_size_is_shown_in_the_unit_that_reads_best() -> None:
    assert [str(output.size(n)) for n in (0, 999, 1500, 50_500, 2_500_000, 5 * 10**15)] == [
        "0 B",
        "999 B",
        "1.5 KiB",
        "49 KiB",
        "2.4 MiB",
        "4547 TiB",
    ]


def lines_of(*chunks: tuple[str, str]) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    lines = LogLines(lambda stream, line: seen.append((stream, line)))
    for stream, text in chunks:
        lines.add({"stream": stream, "text": text})
    lines.flush()
    return seen


def test_pieces_of_log_are_put_together_to_lines_for_each_stream() -> None:
    assert lines_of(("stdout", "a\nb"), ("stderr", "warn\n"), ("stdout", "c\n\nend")) == [
        ("stdout", "a"),
        ("stderr", "warn"),
        ("stdout", "bc"),
        ("stdout", ""),
        ("stdout", "end"),
    ]


def test_a_line_that_was_rewritten_shows_its_last_version() -> None:
    assert lines_of(("stdout", "10%\r50%\r100%\r"), ("stdout", "\nok\r\n")) == [
        ("stdout", "100%"),
        ("stdout", "ok"),
    ]


def test_progress_is_shown_in_one_line() -> None:
    execution = {"status": "running", "progress": {"fraction": 0.4, "message": "reading\n\x1b[2J"}}

    assert progress_text(execution).plain == "running  40%  reading \\x1b[2J"


def test_an_outcome_tells_the_error_and_the_exit_code(capsys: Capture) -> None:
    execution = {
        "status": "failed",
        "exit_code": 3,
        "error": "ValueError: bad",
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:01:05Z",
    }

    Screen().show(reports.outcome(execution))

    text = capsys.readouterr().out
    assert "ValueError: bad" in text
    assert "failed in 1 min 5 s, exit code 3" in text
