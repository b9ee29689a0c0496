"""What the author of a Python script can rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from executors.contract import Outcome, StopReason
from tests.executors.conftest import MakeFolder, Runner


def test_main_gets_its_inputs_by_name_and_type(run: Runner) -> None:
    result = run(
        """
        import datetime as dt
        import enum
        from decimal import Decimal
        from typing import Literal, Optional

        class Color(enum.Enum):
            RED = "red"

        def main(text: str, count: int, ratio: float, on: bool, day: dt.date, at: dt.datetime,
                 names: list[dt.date], table: dict[str, Decimal], color: Color,
                 mode: Literal["a", "b"], maybe: Optional[dt.date], left_out: int = 7):
            kinds = [type(v).__name__ for v in (text, count, ratio, on, day, at, names[0],
                     table["x"], color, mode, maybe, left_out)]
            return {"kinds": kinds, "next": day.replace(day=2), "color": color}
        """,
        inputs={
            "text": "hä",
            "count": 3.0,
            "ratio": 2,
            "on": True,
            "day": "2026-01-31",
            "at": "2026-01-31T10:00:00Z",
            "names": ["2026-02-01"],
            "table": {"x": 1.5},
            "color": "red",
            "mode": "b",
            "maybe": None,
        },
    )

    assert result.outcome is Outcome.SUCCEEDED, result.error
    assert result.output == {
        "kinds": ["str", "int", "float", "bool", "date", "datetime", "date", "Decimal", "Color",
                  "str", "NoneType", "int"],
        "next": "2026-01-02",
        "color": "red",
    }  # fmt: skip


def test_a_file_input_is_a_private_copy_with_its_own_name(run: Runner, tmp_path: Path) -> None:
    source = tmp_path / "orders.csv"
    source.write_text("1;2")

    result = run(
        """
        import os
        from pathlib import Path

        def main(orders: Path):
            assert orders.parent == Path(os.environ["EXECFABRIC_INPUT_DIR"])
            try:
                orders.write_text("changed")
            except OSError:
                pass
            return [orders.name, str(type(orders).__name__)]
        """,
        input_files={"orders": source},
    )

    assert result.output == ["orders.csv", "PosixPath"]
    assert source.read_text() == "1;2"


def test_files_of_one_list_keep_apart_when_they_share_a_name(run: Runner, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text(folder)

    result = run(
        """
        from pathlib import Path

        def main(tables: list[Path]):
            return [[t.name, t.read_text()] for t in tables]
        """,
        input_files={"tables": [tmp_path / "a" / "x.csv", tmp_path / "b" / "x.csv"]},
    )

    assert result.output == [["x.csv", "a"], ["x-2.csv", "b"]]


def test_a_script_without_main_runs_as_it_is(run: Runner) -> None:
    result = run(
        """
        import json, os
        if __name__ == "__main__":
            inputs = json.load(open(os.environ["EXECFABRIC_INPUT"]))
            with open(os.environ["EXECFABRIC_RESULT"], "w") as stream:
                json.dump({"sum": inputs["a"] + inputs["b"]}, stream)
        """,
        inputs={"a": 1, "b": 2},
    )

    assert result.outcome is Outcome.SUCCEEDED, result.error
    assert result.output == {"sum": 3}


def test_modules_beside_main_can_be_imported(run: Runner, make_folder: MakeFolder) -> None:
    folder = make_folder(
        main__py="from tables import main\n", tables__py="def main(n: int):\n    return n + 1\n"
    )

    assert run.folder(folder, inputs={"n": 4}).output == 5


def test_the_script_folder_cannot_be_changed_and_the_work_folder_is_empty(run: Runner) -> None:
    result = run(
        """
        import os

        def main():
            folder = os.path.dirname(__file__)
            denied = []
            for attempt in (lambda: open(__file__, "a"), lambda: open(folder + "/new", "w"),
                            lambda: os.unlink(__file__)):
                try:
                    attempt()
                except OSError:
                    denied.append(True)
            home = os.environ["HOME"] == os.getcwd()
            return {"denied": len(denied), "work": os.listdir("."), "home": home}
        """
    )

    assert result.output == {"denied": 3, "work": [], "home": True}


def test_files_in_the_output_folder_become_artifacts(run: Runner) -> None:
    result = run(
        """
        import os
        from pathlib import Path

        def main():
            out = Path(os.environ["EXECFABRIC_OUTPUT_DIR"])
            (out / "charts").mkdir()
            (out / "charts" / "märz.txt").write_text("chart")
            return out / "charts" / "märz.txt"
        """
    )

    (artifact,) = result.artifacts
    assert (artifact.name, artifact.path.read_text()) == ("charts/märz.txt", "chart")
    assert artifact.path.stat().st_mode & 0o777 == 0o600
    assert result.output == "charts/märz.txt"


def test_progress_lines_arrive_while_the_script_runs(run: Runner) -> None:
    run(
        """
        import os, time

        def main():
            with open(os.environ["EXECFABRIC_PROGRESS"], "a", buffering=1) as progress:
                for line in ("0.4 reading", "not a line", "7 beyond", "nan x"):
                    print(line, file=progress)
                    time.sleep(0.3)
        """
    )

    assert run.sink.progress_lines == [(0.4, "reading"), (1.0, "beyond")]


def test_a_failure_shows_the_scripts_own_traceback_only(run: Runner) -> None:
    result = run(
        """
        def main():
            try:
                {}["missing"]
            except KeyError as error:
                raise ValueError("no such order") from error
        """
    )

    assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.EXITED)
    assert result.exit_code == 1
    assert result.summary == "ValueError: no such order"
    assert 'File "main.py", line 5, in main' in run.sink.text("stderr")
    assert "harness" not in run.sink.text() + result.error
    assert "/runs/" not in run.sink.text() + result.error
    assert 'File "main.py", line 3, in main' in run.sink.text()


def test_a_syntax_error_names_the_line(run: Runner) -> None:
    result = run("def main(:\n    pass\n")

    assert result.outcome is Outcome.FAILED
    assert 'File "main.py", line 1' in result.error
    assert "SyntaxError" in result.summary


def test_exit_codes_are_honoured(run: Runner) -> None:
    assert run("import sys\ndef main():\n    sys.exit(3)\n").exit_code == 3
    assert run("import sys\ndef main():\n    sys.exit(0)\n").outcome is Outcome.SUCCEEDED
    stopped = run("import sys\ndef main():\n    sys.exit('no orders today')\n")
    assert (stopped.exit_code, stopped.summary) == (1, "no orders today")


def test_a_number_main_returns_as_exit_code_stays_one(run: Runner) -> None:
    code = (
        "import sys\ndef main():\n    return {}\nif __name__ == '__main__':\n    sys.exit(main())\n"
    )

    assert run(code.format(4)).exit_code == 4
    assert run(code.format(0)).outcome is Outcome.SUCCEEDED


def test_a_result_that_is_not_json_fails_with_a_plain_sentence(run: Runner) -> None:
    result = run("def main():\n    return {'x': object()}\n")

    assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.BAD_RESULT)
    assert result.summary == (
        "main() returned something that cannot be written as JSON: object is not a JSON type"
    )
    assert run("def main():\n    return float('nan')\n").stop_reason is StopReason.BAD_RESULT


def test_a_broken_result_file_fails(run: Runner) -> None:
    write = "import os\nopen(os.environ['EXECFABRIC_RESULT'], 'w').write({!r})\n"

    for text in ("{", "NaN", '"\\u0000"', "[" * 200 + "]" * 200, '"\\ud800"', "1e999"):
        assert run(write.format(text)).stop_reason is StopReason.BAD_RESULT, text
    assert run(write.format("[" * 100_000)).stop_reason is StopReason.BAD_RESULT
    large = run(write.format('"' + "x" * 3000 + '"'), limits={"result_bytes": 2000})
    assert large.summary == "The result is larger than 2000 bytes."


def test_a_result_that_is_a_link_or_a_pipe_is_not_read(run: Runner) -> None:
    for make in ("os.symlink('/etc/passwd', path)", "os.mkfifo(path)", "os.mkdir(path)"):
        code = f"import os\npath = os.environ['EXECFABRIC_RESULT']\n{make}\n"
        result = run(code)
        assert (result.stop_reason, result.output) == (StopReason.BAD_RESULT, None), make


def test_wrong_and_missing_arguments_are_named(run: Runner) -> None:
    unknown = run("def main():\n    pass\n", inputs={"speed": 1})
    missing = run("def main(speed):\n    pass\n")
    unfit = run("def main(speed: int):\n    pass\n", inputs={"speed": "fast"})

    assert unknown.summary == "The function main() has no argument for the input 'speed'."
    assert missing.summary == "The function main() needs the input 'speed', which was not given."
    assert "'speed' does not fit" in unfit.summary


def test_an_async_main_is_awaited(run: Runner) -> None:
    assert run("async def main(n: int):\n    return n\n", inputs={"n": 2}).output == 2


def test_the_environment_holds_the_contract_and_nothing_of_the_worker(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXECFABRIC_SECRET_KEY", "platform-key")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")

    result = run("import os\ndef main():\n    return dict(os.environ)\n")

    assert isinstance(result.output, dict)
    assert sorted(result.output) == [
        "EXECFABRIC_EXECUTION_ID", "EXECFABRIC_INPUT", "EXECFABRIC_INPUT_DIR",
        "EXECFABRIC_OUTPUT_DIR", "EXECFABRIC_PROGRESS", "EXECFABRIC_RESULT", "EXECFABRIC_TENANT",
        "HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "TMPDIR", "TZ",
    ]  # fmt: skip
    assert result.output["EXECFABRIC_TENANT"] == "acme"


def test_a_resource_that_is_not_there_could_not_start(run: Runner, tmp_path: Path) -> None:
    result = run.folder(tmp_path / "gone")

    assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.COULD_NOT_START)
    assert result.summary == "The script folder is not there."
