"""What every level keeps apart, as root and as an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from executors.contract import ExecutorError, Outcome, StopReason
from executors.script import identity as identity_module
from executors.script.executor import ScriptExecutor
from executors.script.identity import Identities, NoFreeIdentity, folder_of_locks
from executors.script.level import LevelUnavailable
from tests.executors.conftest import MakeFolder, RecordingSink, Runner, request_for

IS_ROOT = os.geteuid() == 0
OWN_UID = 1_879_200_000 + os.getpid()
"""A user id that no other test on this machine uses, whichever clone it is of."""


def test_a_run_has_no_privileges_no_terminal_and_no_foreign_files_open(run: Runner) -> None:
    result = run(
        """
        import os
        def main():
            status = dict(line.split(":", 1) for line in open("/proc/self/status"))
            return {
                "privs": status["NoNewPrivs"].strip(), "caps": status["CapEff"].strip(),
                "groups": os.getgroups(), "uid": os.getuid(),
                "session": os.getsid(0) == os.getpid(),
                "open": [fd for fd in range(3, 256) if os.path.exists(f"/proc/self/fd/{fd}")],
                "stdin": os.readlink("/proc/self/fd/0"), "umask": os.umask(0),
                "oom": open("/proc/self/oom_score_adj").read().strip(),
            }
        """
    )

    found = result.output
    assert isinstance(found, dict), result.error
    assert (found["privs"], found["caps"]) == ("1", "0" * 16)
    assert (found["session"], found["open"], found["stdin"]) == (True, [], "/dev/null")
    assert (found["umask"], found["oom"]) == (0o077, "1000")
    if IS_ROOT:
        assert found["groups"] == []
        assert found["uid"] not in (0, os.getuid())


def test_a_script_cannot_reach_the_pipes_of_its_guard(run: Runner) -> None:
    result = run(
        """
        import os
        def main():
            try:
                return os.listdir(f"/proc/{os.getppid()}/fd")
            except (PermissionError, FileNotFoundError):
                return "denied"
        """
    )

    assert result.output == "denied"


def test_two_runs_at_once_cannot_see_each_other(
    executor: ScriptExecutor, make_folder: MakeFolder, tmp_path: Path
) -> None:
    holder = make_folder("holder", main__py=(
        "import os, time\nopen('secret', 'w').write('mine')\n"
        "print(os.getcwd(), os.getpid(), os.getuid(), flush=True)\ntime.sleep(120)\n"
    ))  # fmt: skip
    spy = make_folder("spy", main__py=(
        "import os\n"
        "def tried(act):\n"
        "    try:\n        act()\n        return 'done'\n"
        "    except OSError as error:\n        return type(error).__name__\n"
        "def main(cwd: str, pid: int):\n"
        "    return [os.getuid(), tried(lambda: open(cwd + '/secret')), "
        "tried(lambda: os.listdir(os.path.dirname(cwd))), tried(lambda: os.kill(pid, 0))]\n"
    ))  # fmt: skip
    sink, stop = RecordingSink(), threading.Event()
    sink.alive = lambda: not stop.is_set()  # type: ignore[method-assign]
    (tmp_path / "w1").mkdir()
    (tmp_path / "w2").mkdir()
    thread = threading.Thread(
        target=executor.execute,
        args=(request_for(holder, limits={"timeout_s": 120}), sink),
        kwargs={"workdir": tmp_path / "w1"},
    )
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not sink.text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        cwd, pid, uid = sink.text().split()
        seen = executor.execute(
            request_for(spy, inputs={"cwd": cwd, "pid": int(pid)}),
            RecordingSink(),
            workdir=tmp_path / "w2",
        ).output
    finally:
        stop.set()
        thread.join()

    assert isinstance(seen, list)
    if executor.level.hides_machine:
        # The same paths and ids mean its own folder and itself.
        assert seen[1] == "FileNotFoundError"
        assert (seen[0] == int(uid)) is not IS_ROOT
    elif IS_ROOT:
        assert seen[0] != int(uid)
        assert seen[1:] == ["PermissionError"] * 3
    else:
        # Without root both are the same user; the documentation of the level says so.
        assert seen[0] == int(uid)


def test_what_a_run_leaves_in_shared_folders_is_removed(run: Runner) -> None:
    name = f"left-by-{os.getpid()}"
    run(f"import os\nos.makedirs('/tmp/{name}/a/b'); open('/tmp/{name}/a/f', 'w').close()\n")

    left = Path("/tmp", name)
    assert left.exists() is not (IS_ROOT or run.executor.level.hides_machine)
    if left.exists():
        (left / "a" / "f").unlink()
        (left / "a" / "b").rmdir()
        (left / "a").rmdir()
        left.rmdir()


def test_a_script_folder_with_a_link_does_not_run(run: Runner, make_folder: MakeFolder) -> None:
    folder = make_folder(main__py="print(1)\n")
    (folder / "passwords").symlink_to("/etc/passwd")

    result = run.folder(folder)

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert "passwords" in result.summary


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(LevelUnavailable, match="Known levels: bwrap, ll, ns, process"):
        ScriptExecutor(level="magic")


def test_a_state_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")

    with pytest.raises(ExecutorError, match="belongs to another user"):
        ScriptExecutor(state_folder=tmp_path / "link").check()


def test_a_state_folder_runs_cannot_enter_is_refused_as_root(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    executor = ScriptExecutor(state_folder=closed / "state", level="process")

    if IS_ROOT:
        with pytest.raises(ExecutorError, match="Choose another state folder"):
            executor.check()
    else:
        executor.check()


def test_user_ids_of_the_machine_are_never_given_to_runs() -> None:
    with pytest.raises(ValueError, match="1000 or more"):
        ScriptExecutor(first_uid=0)


def test_the_executor_checks_itself(executor: ScriptExecutor) -> None:
    executor.check()


def test_an_entry_outside_the_folder_is_refused(
    executor: ScriptExecutor, make_folder: MakeFolder
) -> None:
    folder = make_folder(main__py="print(1)\n")
    for entry in ("../main.py", "/etc/passwd", "", "gone.py", "sub/main.py"):
        with pytest.raises(ExecutorError):
            executor.validate({"folder": str(folder), "runtime": "python", "entry": entry})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives runs user ids")
def test_two_platforms_on_one_machine_never_give_the_same_user_id(tmp_path: Path) -> None:
    one, other = (Identities(folder_of_locks(tmp_path / name), OWN_UID, 1) for name in ("a", "b"))

    with one.take(), pytest.raises(NoFreeIdentity), other.take():
        pass


def test_user_ids_are_handed_out_once_at_a_time(tmp_path: Path) -> None:
    first, second = Identities(tmp_path, 5000, 2), Identities(tmp_path, 5000, 2)

    with first.take() as one, second.take() as two:
        assert {one.uid, two.uid} == {5000, 5001}
        with pytest.raises(NoFreeIdentity), first.take():
            pass
    with second.take() as again:
        assert again.uid in (5000, 5001)


def test_a_dry_run_shows_what_would_happen_without_secrets(
    executor: ScriptExecutor, make_folder: MakeFolder
) -> None:
    folder = make_folder(main__py="print(1)\n")
    request = request_for(folder, inputs={"key": "hunter22"}, secrets={"token": "hunter22"})

    shown = executor.dry_run(request)

    assert shown["inputs"] == {"key": "***"}
    assert shown["secrets"] == ["token"]
    assert shown["isolation"] == executor.level.name


def test_folders_of_killed_workers_are_swept(open_folder: Path, make_folder: MakeFolder) -> None:
    executor = ScriptExecutor(state_folder=open_folder / "sweep")
    executor.check()
    stale, fresh = (open_folder / "sweep" / "runs" / name for name in ("stale", "fresh"))
    for folder in (stale, fresh):
        (folder / "work").mkdir(parents=True)
    os.utime(stale, (1, 1))

    executor._sweep()

    assert (stale.exists(), fresh.exists()) == (False, True)


@pytest.mark.skipif(not IS_ROOT, reason="only root gives user ids")
def test_user_ids_that_a_container_does_not_have_are_refused(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(22, "Invalid argument")

    executor = ScriptExecutor(state_folder=open_folder / "state-ids", level="process")
    monkeypatch.setattr(os, "fchown", refuse)

    with pytest.raises(ExecutorError, match="as an ordinary user"):
        executor.check()


def test_threads_that_keep_and_release_ids_at_once_close_each_lock_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identities = Identities(tmp_path, 1_879_300_000, count=1)
    failed: list[OSError] = []

    def count_slowly(_uid: int) -> int:
        time.sleep(0.001)
        return 0

    monkeypatch.setattr(identity_module, "count_tasks_of", count_slowly)

    def keep_and_release() -> None:
        try:
            for _ in range(20):
                identities.keep(identity)
                identities.release_dead()
        except OSError as error:
            failed.append(error)

    with identities.take() as identity:
        threads = [threading.Thread(target=keep_and_release) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert failed == []
    with identities.take():
        pass


@pytest.mark.skipif(not IS_ROOT, reason="only root gives user ids")
def test_a_user_id_is_not_given_again_before_its_processes_are_dead(tmp_path: Path) -> None:
    identities = Identities(tmp_path, OWN_UID, count=1)
    with identities.take() as identity:
        left = subprocess.Popen(["sleep", "60"], user=identity.uid)
        identities.keep(identity)
    try:
        identities.release_dead()
        with pytest.raises(NoFreeIdentity), identities.take():
            pass
    finally:
        left.kill()
        left.wait()

    identities.release_dead()
    with identities.take():
        pass


def test_a_state_folder_that_was_removed_is_made_again(
    open_folder: Path, make_folder: MakeFolder, tmp_path: Path
) -> None:
    executor = ScriptExecutor(state_folder=open_folder / "removed", zygotes=False)
    folder = make_folder(main__py="print(1)\n")
    for number in range(2):
        (tmp_path / f"{number}").mkdir()
        result = executor.execute(
            request_for(folder), RecordingSink(), workdir=tmp_path / f"{number}"
        )
        assert result.outcome is Outcome.SUCCEEDED, result.error
        shutil.rmtree(open_folder / "removed")
