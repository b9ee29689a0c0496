"""What a run sees at the level ``ns``, and that honest scripts find what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors.contract import MEBIBYTE, Limits, Outcome
from executors.script.executor import ScriptExecutor
from executors.script.interpreter import default_candidates, find_interpreter
from executors.script.level import Job
from executors.script.sandbox.level import build_plan, interpreter_folders
from tests.executors.conftest import MakeFolder, Runner, executor_at

IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="session", params=[False, True], ids=["cold", "warm"])
def executor(request: pytest.FixtureRequest, open_folder: Path) -> Iterator[ScriptExecutor]:
    executor = executor_at("ns", open_folder, warm=request.param)
    yield executor
    executor.close()


def test_all_it_sees_is_its_own(run: Runner) -> None:
    result = run(
        """
        import os
        def main():
            return {
                "processes": [name for name in os.listdir("/proc") if name.isdigit()],
                "shared": sorted(os.listdir("/tmp") + os.listdir("/dev/shm")),
                "cwd": [os.getcwd(), *os.listdir(".")],
                "host": os.uname().nodename,
                "user": __import__("pwd").getpwuid(os.getuid()).pw_name,
                "root": os.path.exists("/root") or os.path.exists("/home"),
            }
        """
    )

    assert isinstance(result.output, dict), result.error
    assert set(result.output["processes"]) <= {"1", "2"}  # type: ignore[arg-type]
    assert result.output | {"processes": []} == {
        "processes": [],
        "shared": [],
        "cwd": ["/room/work"],
        "host": "sandbox",
        "user": "run",
        "root": False,
    }


def test_what_programs_use_of_a_system_is_there(run: Runner) -> None:
    result = run(
        """
        import multiprocessing, os, shutil, subprocess, tempfile
        from multiprocessing import shared_memory
        from pathlib import Path

        def double(number):
            return 2 * number

        def main():
            with multiprocessing.Pool(2) as pool:
                doubled = pool.map(double, [1, 2])
            memory = shared_memory.SharedMemory(create=True, size=10)
            memory.close()
            memory.unlink()
            with tempfile.NamedTemporaryFile("w", delete=False) as file:
                file.write("moved")
            os.rename(file.name, Path(os.environ["EXECFABRIC_OUTPUT_DIR"], "moved.txt"))
            Path("tool").write_text("#!/bin/sh\\necho started\\n")
            Path("tool").chmod(0o700)
            shell = "cat <(echo sub) /dev/stdin >/dev/stdout; echo lost >/dev/null"
            said = subprocess.run(["bash", "-c", shell], input=b"in", capture_output=True)
            return {
                "doubled": doubled,
                "started": subprocess.check_output(["./tool"], text=True),
                "said": said.stdout.decode() + said.stderr.decode(),
                "sorted": subprocess.check_output("printf 'b\\\\na\\\\n' | sort | awk '{print}'",
                                                  shell=True, text=True),
                "random": len(os.urandom(4) + Path("/dev/urandom").open("rb").read(4)),
            }
        """
    )

    assert result.output == {
        "doubled": [2, 4],
        "started": "started\n",
        "said": "sub\nin",
        "sorted": "a\nb\n",
        "random": 8,
    }, result.error
    assert [file.name for file in result.artifacts] == ["moved.txt"]


def test_what_the_machine_mounts_later_does_not_appear(run: Runner) -> None:
    run("print(open('/proc/self/mountinfo').read())\n")

    mounts = run.sink.text().splitlines()
    assert len(mounts) > 10
    assert [line for line in mounts if "master:" in line or "shared:" in line] == []


def test_what_it_writes_is_bounded_as_a_whole(run: Runner) -> None:
    code = """
        import os
        for folder in (".", "/tmp", os.environ["EXECFABRIC_OUTPUT_DIR"]):
            with open(folder + "/part", "wb") as file:
                file.write(bytes(3 * 1024 * 1024))
    """
    enough = run(code, limits={"disk_bytes": 10 * MEBIBYTE})
    short = run(code, limits={"disk_bytes": 8 * MEBIBYTE})

    assert enough.outcome is Outcome.SUCCEEDED
    assert "No space left on device" in short.summary


def test_the_bound_follows_the_memory() -> None:
    assert Limits().room_bytes == 128 * MEBIBYTE
    assert Limits(memory_bytes=64 * MEBIBYTE).room_bytes == 64 * MEBIBYTE
    assert Limits(disk_bytes=5 * MEBIBYTE).room_bytes == 5 * MEBIBYTE


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.skipif(not IS_ROOT, reason="an ordinary user owns its closed folders")
def test_nothing_has_to_be_open_to_others_in_a_sandbox(
    tmp_path: Path, make_folder: MakeFolder, warm: bool
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    own = Path(os.path.realpath(default_candidates()[0]))
    subprocess.run([own, "-m", "venv", "--without-pip", closed / "environment"], check=True)
    executor = ScriptExecutor(state_folder=closed / "state", level="ns", zygotes=warm)
    executor.check()
    run = Runner(executor, make_folder, tmp_path)

    result = run("import sys\nprint(sys.prefix)\n", python=None)
    with_environment = run.folder(
        make_folder("second", main__py="import sys, json\nprint(sys.prefix, json.__file__)\n"),
        python=closed / "environment" / "bin" / "python",
    )

    assert result.outcome is Outcome.SUCCEEDED, result.error
    assert with_environment.outcome is Outcome.SUCCEEDED, with_environment.error
    assert str(closed / "environment") in run.sink.text()


def test_an_interpreter_in_a_home_does_not_show_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "lib").mkdir()
    (home / "letters").mkdir()
    shutil.copy("/bin/sh", home / "bin" / "python3.11")
    (home / "bin" / "python").symlink_to("python3.11")

    assert list(interpreter_folders(home / "bin" / "python")) == [home / "bin", home / "lib"]


def test_every_link_on_the_way_to_an_interpreter_is_followed(tmp_path: Path) -> None:
    real = tmp_path / "cpython-3.11.9"
    (real / "bin").mkdir(parents=True)
    (real / "lib").mkdir()
    (real / "bin" / "python3.11").touch()
    (tmp_path / "cpython-3.11").symlink_to(real)
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").touch()
    (environment / "bin" / "python").symlink_to(tmp_path / "cpython-3.11" / "bin" / "python3.11")

    assert list(interpreter_folders(environment / "bin" / "python")) == [
        environment,
        tmp_path / "cpython-3.11" / "bin",
        tmp_path / "cpython-3.11" / "lib",
        real / "bin",
        real / "lib",
    ]


def test_the_systems_python_needs_nothing_more() -> None:
    python = find_interpreter(65_534 if IS_ROOT else None, cache=Path("/nowhere"))
    if not str(python).startswith("/usr/"):
        pytest.skip("the system has no Python of its own")

    assert list(interpreter_folders(python)) == []


def test_code_and_data_below_the_systems_folders_are_covered(tmp_path: Path) -> None:
    plan = build_plan(
        root=tmp_path,
        job=Job({}),
        interpreter=[],
        hidden=(Path("/usr/src/app"), Path("/srv/data")),
        limits=Limits(),
        uid=None,
    )

    assert plan["hidden"] == ["/usr/src/app"]


def test_a_covered_folder_is_empty_in_a_run(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executors.script.sandbox.level.CODE", Path("/usr/share/misc"))
    assert os.listdir("/usr/share/misc")  # noqa: PTH208 - as the run does

    run("import os\nprint(os.listdir('/usr/share/misc'))\n")

    assert run.sink.text() == "[]\n"


def test_orphans_that_ended_do_not_count_as_processes(run: Runner) -> None:
    result = run(
        "for n in $(seq 200); do (/bin/true & ) ; done\nwait\n",
        shell=True,
        limits={"processes": 20},
    )

    assert result.outcome is Outcome.SUCCEEDED, result.error
    assert "Resource temporarily unavailable" not in run.sink.text()
