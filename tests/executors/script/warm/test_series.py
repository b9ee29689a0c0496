"""Rows of a series have one sandbox, one after another, and each is as a run by itself."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from executors.contract import Outcome, StopReason, Stream
from tests.executors.conftest import RecordingSink
from tests.executors.script.test_limits import wait_until
from tests.executors.script.warm.rows import Rows, serving


def test_rows_get_what_is_theirs_in_one_place(rows: Rows) -> None:
    code = """
        import os, sys
        print("row", inputs)
        print("also", inputs, file=sys.stderr)
        with open(os.environ["EXECFABRIC_PROGRESS"], "a") as progress:
            progress.write(f"0.{inputs} at {inputs}\\n")
        with open(os.environ["EXECFABRIC_OUTPUT_DIR"] + f"/{inputs}.txt", "w") as file:
            file.write(f"text {inputs}")
        answer = [inputs, os.environ["EXECFABRIC_SECRET_KEY"]]
    """
    done = [rows(code, number, secrets={"key": f"secret-{number}"}) for number in range(1, 5)]

    assert len({row.place for row in done}) == 1
    for number, row in enumerate(done, 1):
        assert row.answer == [number, "***"], row.result
        assert row.sink.text("stdout") == f"row {number}\n"
        assert row.sink.text("stderr") == f"also {number}\n"
        assert row.sink.progress_lines[-1] == (number / 10, f"at {number}")
        (artifact,) = row.result.artifacts
        assert (artifact.name, artifact.path.read_text()) == (f"{number}.txt", f"text {number}")
        assert row.result.usage.peak_memory_bytes > 1_000_000
        assert 0 < row.result.usage.wall_s < 30


ENTRIES = {
    "a warning": "number = 1\nfound = number is 1\n\n\ndef main() -> int:\n    return number\n",
    "no Python": "def main(:\n    pass\n",
    "no text": "x = '\udcff\x00'\n",
    "no main": "import sys\nprint(sys.argv)\n",
    "an error": "def main() -> None:\n    raise ValueError('no')\n",
    "an exit code": "import sys\n\n\ndef main() -> int:\n    return 7\n\n\n"
    "if __name__ == '__main__':\n    sys.exit(main())\n",
    "much": "def main() -> int:\n    return len(TEXT)\n\n\nTEXT = '" + 3000 * f"{50 * 'x'}" + "'\n",
    "its own name": "import sys\n\n\ndef main() -> list:\n"
    "    return [__name__, __file__, sys.modules[__name__].main is main]\n",
}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_does_in_each_row_what_it_does_alone(
    rows: Rows, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "entry"
    folder.mkdir()
    (folder / "main.py").write_text(ENTRIES[name], "utf-8", "surrogateescape")

    def run(series: str) -> tuple[object, ...]:
        row = rows("", folder=folder, series=series, inputs={})
        return (row.result.outcome, row.result.output, *row.ending)

    alone = run("")
    assert [run("s") for _ in range(3)] == [alone] * 3


def test_a_warning_of_the_compiler_is_in_the_log_of_each_row(rows: Rows, tmp_path: Path) -> None:
    folder = tmp_path / "entry"
    folder.mkdir()
    (folder / "main.py").write_text(ENTRIES["a warning"])
    logs = [rows("", folder=folder, inputs={}).sink.text("stderr") for _ in range(3)]

    assert all("SyntaxWarning" in log for log in logs), logs


ENDINGS = {
    "an exception": "raise ValueError('no')",
    "an exit code": "import sys\nsys.exit(7)",
    "an exit at once": "import os\nprint('x', flush=True)\nos._exit(5)",
    "an exit as of a process that did not start": "import os\nos._exit(127)",
    "a signal": "import os\nos.kill(os.getpid(), 15)",
    "killed": "import os\nos.kill(os.getpid(), 9)",
    "aborted": "import os\nos.abort()",
    "no JSON": "answer = object()",
    "a number that is none": "answer = float('nan')",
    "a large result": "answer = 'x' * 5_000_000",
    "a result it wrote itself": "import os\n"
    "open(os.environ['EXECFABRIC_RESULT'], 'w').write('{')\nos._exit(0)",
    "an atexit": "import atexit\natexit.register(print, 'late')",
    "a thread": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()",
    "a daemon": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n",
    "its input in the environment": "import json, os\n"
    "answer = list(json.load(open(os.environ['EXECFABRIC_INPUT'])))",
    "random numbers": "import random, uuid\nanswer = len({random.random(), uuid.uuid4()})",
    "standard output closed": "import os\nos.close(1)\nos.close(2)",
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_row_ends_as_a_run_by_itself_and_the_next_one_works(rows: Rows, name: str) -> None:
    rows("answer = 1")
    row = rows(ENDINGS[name])
    alone = rows(ENDINGS[name], series="")
    after = rows("answer = 2")

    assert row.ending == alone.ending
    assert (after.result.outcome, after.answer) == (Outcome.SUCCEEDED, 2)


STOPPED: dict[str, tuple[str, dict[str, Any], StopReason]] = {
    "time": ("import time\ntime.sleep(60)", {"timeout_s": 0.7}, StopReason.TIME_LIMIT),
    "time of a daemon's parent": (
        "import os, signal, time\nif os.fork() == 0:\n    os.setsid()\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\ntime.sleep(60)",
        {"timeout_s": 0.7}, StopReason.TIME_LIMIT,
    ),
    "memory": (
        "import time\nkept = b'x' * (300 << 20)\ntime.sleep(20)", {"memory_bytes": 64 << 20},
        StopReason.MEMORY_LIMIT,
    ),
    "memory of its children": (
        "import os, time\nif os.fork() == 0:\n    kept = b'x' * (300 << 20)\ntime.sleep(20)",
        {"memory_bytes": 64 << 20}, StopReason.MEMORY_LIMIT,
    ),
    "output": (
        "import os\nwhile True:\n    os.write(1, b'x' * 65536)", {"log_flood_bytes": 1 << 20},
        StopReason.OUTPUT_LIMIT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPPED)
def test_a_row_that_goes_too_far_is_stopped(rows: Rows, name: str) -> None:
    code, limits, reason = STOPPED[name]
    rows("answer = 1", limits=limits)
    row = rows(code, limits=limits)
    alone = rows(code, limits=limits, series="")
    after = rows("answer = 2", limits=limits)

    assert row.result.stop_reason is alone.result.stop_reason is reason, row.result
    assert row.result.outcome is alone.result.outcome
    assert row.result.error == alone.result.error
    assert row.result.exit_code == alone.result.exit_code
    assert row.result.usage.wall_s == pytest.approx(alone.result.usage.wall_s, abs=2)
    if reason is StopReason.MEMORY_LIMIT:
        assert row.result.usage.peak_memory_bytes > limits["memory_bytes"]
    assert after.answer == 2


def test_a_row_is_cancelled(rows: Rows) -> None:
    rows("answer = 1")
    row = rows("import time\ntime.sleep(60)", sink=RecordingSink(cancel_after=1))

    assert row.result.stop_reason is StopReason.CANCEL_REQUESTED
    assert rows("answer = 2").answer == 2


def test_an_error_of_the_sink_passes_through_and_ends_the_row(lone_rows: Rows) -> None:
    class Sink(RecordingSink):
        def log(self, stream: Stream, text: str) -> None:
            raise RuntimeError("full")

    first = lone_rows("answer = 1").place
    with pytest.raises(RuntimeError, match="full"):
        lone_rows("print('x', flush=True)\nimport time\ntime.sleep(60)", sink=Sink())

    assert lone_rows("answer = 2").place != first
    wait_until(lambda: len(serving(lone_rows.executor)) == 1)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"processes": 1}, "answer = 1"),
        ({"open_files": 16}, "answer = [open('/dev/null').fileno() for _ in range(3)]"),
        ({"disk_files": 10}, "answer = [open(str(n), 'w').close() for n in range(6)]"),
        ({"file_bytes": 60}, "answer = 1"),  # Less than the inputs have.
        ({"memory_bytes": 32 << 20}, "answer = 1"),
        ({"timeout_s": 4000}, "answer = 1"),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, dict) else "",
)
def test_tight_limits_are_those_of_a_run_by_itself(
    rows: Rows, limits: dict[str, Any], code: str
) -> None:
    alone = rows(code, limits=limits, series="")

    for _ in range(2):
        assert rows(code, limits=limits).ending == alone.ending


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look at its memory")
def test_the_one_who_serves_never_holds_what_rows_are_given_or_leave(lone_rows: Rows) -> None:
    words = {kind: f"{kind}-{os.urandom(8).hex()}" for kind in ("input", "secret", "name", "text")}
    code = """
        import os
        inputs, name, text = (each[::-1] for each in inputs)
        os.makedirs(f"{name}/{name}")
        open(f"{name}/{name}/{name}.txt", "w").write(text)
        open(f"/room/report/{name}.txt", "w").write(text)
        print(inputs, os.environ["EXECFABRIC_SECRET_KEY"])
        answer = text
    """
    given = [words[kind][::-1] for kind in ("input", "name", "text")]
    for _ in range(2):
        lone_rows(code, given, secrets={"key": words["secret"]})
        lone_rows("pass")
    (served,) = serving(lone_rows.executor)
    memory = memory_of(served)

    assert b"/room/report/input.json" in memory
    held = [word for word in (*words.values(), *given) if word.encode() in memory]
    assert held == []


def memory_of(pid: int) -> bytes:
    """Return all a process can read."""
    data = b""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if rights.startswith("rw"):
                start, end = (int(part, 16) for part in span.split("-"))
                memory.seek(start)
                data += memory.read(end - start)
    return data


def test_large_inputs(rows: Rows) -> None:
    large = "é" * 500_000
    code = "answer = [len(inputs), len(set(inputs))]"
    done = [rows(code, large) for _ in range(2)]

    assert [row.answer for row in done] == [[500_000, 1]] * 2
    assert done[0].place == done[1].place


HOW_MANY = {
    "processes": """
        import os, signal
        made = []
        try:
            while True:
                pid = os.fork()
                if pid == 0:
                    signal.pause()
                made.append(pid)
        except BlockingIOError:
            pass
        answer = len(made)
        """,
    "files": """
        answer = 0
        try:
            while True:
                open(f"work-{answer}", "x").close()
                answer += 1
        except OSError:
            pass
        for number in range(answer):
            import os
            os.unlink(f"work-{number}")
        """,
}


@pytest.mark.parametrize("kind", HOW_MANY)
def test_a_row_may_have_as_many(rows: Rows, kind: str) -> None:
    limits = {"processes": 12, "disk_files": 40}
    alone = rows(HOW_MANY[kind], limits=limits, series="").answer

    assert [rows(HOW_MANY[kind], limits=limits).answer for _ in range(2)] == [alone, alone]


def test_rows_have_an_environment(rows: Rows, open_folder: Path) -> None:
    environment = Path(tempfile.mkdtemp(dir=open_folder)) / "environment"
    base = rows.executor.base_python().resolve()
    subprocess.run([base, "-m", "venv", "--without-pip", "--symlinks", environment], check=True)
    packages = next((environment / "lib").glob("python3*")) / "site-packages"
    (packages / "number.py").write_text("MINE = 42\n")
    (packages / "own.pth").write_text("import os, sys; sys.from_pth = os.getpid()\n")
    code = "import number, os, sys\nanswer = [number.MINE, sys.from_pth == os.getpid()]"
    done = [rows(code, python=environment / "bin" / "python") for _ in range(3)]

    assert [row.answer for row in done] == [[42, True]] * 3
    # No sandbox can have run the code of own.pth for all: the first row found that out.
    assert done[1].place == done[2].place
