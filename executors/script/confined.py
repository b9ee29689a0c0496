"""Work of the platform on what strangers wrote, done in the sandbox that scripts run in."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from executors.contract import MEBIBYTE, Limits, StopReason
from executors.masking import Masker
from executors.script.identity import Identities, folder_of_locks
from executors.script.interpreter import library_environment
from executors.script.level import IsolationLevel, Job
from executors.script.log import RunLog
from executors.script.memory_group import make_memory_group
from executors.script.process import RunProcess
from executors.script.progress import ProgressFile
from executors.script.run_folder import make_run_folder
from executors.script.sandbox.view import JOB, ROOM
from executors.script.start import ColdStart, Launch

COMPILE_LIMITS = Limits(
    timeout_s=900,
    memory_bytes=1024 * MEBIBYTE,
    disk_bytes=1024 * MEBIBYTE,
    disk_files=100_000,
    log_bytes=64 * 1024,
)
COMPILED = re.compile(r"(?P<module>[^/]+)\.[a-z]+-\d+\.pyc")


@dataclass(frozen=True)
class Confined:
    """How a command ended. output: the open folder it wrote to, ``/room/output`` inside."""

    stop_reason: StopReason
    exit_code: int | None
    log: str
    output: int | None


class _Patience:
    """A sink for a run that nobody watches."""

    def log(self, stream: str, text: str) -> None:
        """Kept elsewhere."""

    def left_out(self, size_bytes: int) -> None:
        """Not said."""

    def progress(self, fraction: float, message: str) -> None:
        """Not shown."""

    def alive(self) -> bool:
        return True


@contextmanager
def run_confined(
    command: list[str], *, level: IsolationLevel, python: Path, shown: Path, limits: Limits
) -> Iterator[Confined]:
    """Run a command of ours in a sandbox to its end; yield what came of it.

    level: one that hides the machine. python: an interpreter that the sandbox is to have. shown: a
    folder it sees as ``/job/script``, read-only. It has no network and nothing else of the machine.
    Raises ExecutorError when it could not be started, OSError.
    """
    lines: list[str] = []
    log = RunLog(lambda _, text: lines.append(text), Masker(()), keep_bytes=limits.log_bytes)
    with tempfile.TemporaryDirectory(prefix="execfabric-confined-") as made:
        state = Path(made)
        is_root = os.geteuid() == 0
        identity = Identities(folder_of_locks(state)).take() if is_root else nullcontext(None)
        with (
            identity as who,
            make_run_folder(state, who, level, needed=False) as folder,
            make_memory_group(limits) as group,
        ):
            uid, gid = (who.uid, who.gid) if who else (None, None)
            plan = level.plan(Job({}, [(shown, "script")]), state, python, limits, uid)
            if plan is not None and group is not None:
                plan["memory_group"] = str(group.path)
            launch = Launch(
                limits=limits.model_dump(),
                argv=command,
                env={"LANG": "C.UTF-8", **library_environment(python)},
                cwd=f"{ROOM}/work",
                sandbox=plan,
                uid=uid,
                gid=gid,
                marker=None,
                held=(who.lock,) if who else (),
            )
            start = ColdStart(launch, level.stage_command(state / "compiled"))
            progress = ProgressFile(folder.room, Masker(()))
            ending = RunProcess(start, limits, folder.room, log, progress, _Patience()).run()
            said = "".join(lines) or ending.problem
            yield Confined(ending.stop_reason, ending.exit_code, said, folder.room.output)


def compile_confined(library: Path, *, level: IsolationLevel, python: Path) -> int:
    """Compile the modules below library in a sandbox; return how many there are compiled.

    The sandbox cannot write to library: what it made is copied, and only what belongs to a module
    that is there. Raises ExecutorError, OSError.
    """
    command = [str(python), "-I", "-S", "-X", f"pycache_prefix={ROOM}/output",
               "-m", "compileall", "-q", "-q",
               # Nothing there changes any more, and times are not kept when it is stored.
               "--invalidation-mode", "unchecked-hash", f"{JOB}/script"]  # fmt: skip
    with run_confined(
        command, level=level, python=python, shown=library, limits=COMPILE_LIMITS
    ) as done:
        return 0 if done.output is None else take_compiled(done.output, library)


def take_compiled(output: int, library: Path) -> int:
    """Copy what a sandbox compiled to where Python looks for it; return how many files."""
    taken = 0
    top = f".{JOB}/script"
    for place, _, names, folder in os.fwalk(top, dir_fd=output, follow_symlinks=False):
        target = library / os.path.relpath(place, top)
        for name in names:
            match = COMPILED.fullmatch(name)
            if match is None or not (target / f"{match['module']}.py").is_file():
                continue
            with suppress(OSError):  # A link, or one that is there already.
                taken += _copy(folder, name, target / "__pycache__")
    return taken


def _copy(folder: int, name: str, target: Path) -> int:
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(source, "rb") as stream:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            return 0
        target.mkdir(exist_ok=True)
        target.chmod(0o755)
        with (target / name).open("xb") as copy:
            shutil.copyfileobj(stream, copy)
        (target / name).chmod(0o644)
    return 1
