"""The folders of one run.

    <run>/          root, group of the run, 0710: nobody else can enter
      script/       copy of the script folder, not writable
      inputs/       copies of the input files, not writable
      input.json    the inputs
      harness.py    starts a Python script, with harness.bin
      work/         current directory and HOME; belongs to the run, as do the next three
      tmp/
      output/       becomes the artifacts
      report/       result and progress

Where the worker is not root, all of it belongs to the worker's user. At a level that hides the
machine the last four are not here but in the sandbox, which hands them out as it is made; the two
files are made in the sandbox, too, and the script folder is shown as it is. So there is a folder
only when there are input files, or when the run's user could not read the script.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from executors.contract import ExecutorError
from executors.script.artifacts import FOLDER_FLAGS
from executors.script.bundle import BundleError, check_path
from executors.script.harness_files import harness
from executors.script.identity import Identity
from executors.script.level import IsolationLevel, Job, Places
from executors.script.removal import remove_tree

RESULT_NAME = "result.json"
PROGRESS_NAME = "progress"
STALE_AFTER_S = 60
WRITABLE = ("work", "tmp", "output", "report")
ROOM_DESCRIPTORS = 4
"""Output, report, progress, process 1: what ``Room`` holds."""
MOST_DESCRIPTORS = ROOM_DESCRIPTORS + 1
"""With the socket of a run that has the network."""


class RunFolderError(ExecutorError):
    """The folders of a run could not be made."""


class Room:
    """What a run writes, opened before the script could replace it; None until there is any."""

    def __init__(self) -> None:
        self.output: int | None = None
        self.report: int | None = None
        self.progress: int | None = None
        self.guard: int | None = None
        """Process 1 of the run, as a descriptor; only a sandbox has one."""
        self.listener: int | None = None
        """Listens in the run's network namespace; only a run that has the network has one."""

    def take(self, descriptors: list[int]) -> None:
        """Keep the open folders output and report, the open file of progress, process 1, and the
        listener if there is one."""
        if not ROOM_DESCRIPTORS <= len(descriptors) <= MOST_DESCRIPTORS or self.is_taken:
            for descriptor in descriptors:
                os.close(descriptor)
            return
        self.output, self.report, self.progress, self.guard, *listener = descriptors
        self.listener = listener[0] if listener else None

    @property
    def is_taken(self) -> bool:
        """Whether the run has folders; before that, nothing of the script can have run."""
        return self.output is not None

    def close(self) -> None:
        for descriptor in (self.output, self.report, self.progress, self.guard, self.listener):
            if descriptor is not None:
                os.close(descriptor)


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run on this machine, and where the script finds its parts."""

    path: Path
    lock: int | None
    """None where there is no such folder."""
    room: Room
    places: Places


@contextmanager
def make_run_folder(
    runs: Path, identity: Identity | None, level: IsolationLevel, *, needed: bool
) -> Iterator[RunFolder]:
    """Yield fresh folders below runs; they are removed at the end. Raises RunFolderError.

    needed: whether there shall be any on this machine.
    """
    path = runs / secrets.token_hex(12)
    room = Room()
    opened: list[int] = []
    try:
        try:
            lock = _make(path, identity, opened) if needed else None
            if not level.hides_machine:
                room.output, room.report, room.progress = _make_room(path, identity)
            folder = RunFolder(path, lock, room, level.places(path))
        except OSError as error:
            raise RunFolderError(
                f"The folders of the run could not be made: {error.strerror}."
            ) from error
        yield folder
    finally:
        try:
            # What cannot be removed now is retried by the next sweep.
            if needed:
                with suppress(OSError):
                    remove_tree(path)
        finally:
            room.close()
            for descriptor in opened:
                os.close(descriptor)


def _make(path: Path, identity: Identity | None, opened: list[int]) -> int:
    """Make the folder; return it open and locked."""
    path.mkdir(mode=0o700)
    lock = os.open(path, FOLDER_FLAGS)
    opened.append(lock)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if identity is not None:
        os.fchown(lock, os.geteuid(), identity.gid)
        os.fchmod(lock, 0o710)
    return lock


def _make_room(path: Path, identity: Identity | None) -> list[int]:
    """Make what the run may write to; return it open, as ``Room.take`` wants it."""
    for name in WRITABLE:
        (path / name).mkdir(mode=0o700)
    descriptors: list[int] = []
    try:
        for name in ("output", "report"):
            descriptors.append(os.open(path / name, FOLDER_FLAGS))  # noqa: PERF401 - closed below
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptors.append(os.open(PROGRESS_NAME, flags, 0o600, dir_fd=descriptors[-1]))
        if identity is not None:
            os.fchown(descriptors[-1], identity.uid, identity.gid)
            for name in WRITABLE:
                os.chown(path / name, identity.uid, identity.gid, follow_symlinks=False)
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return descriptors


def fill_run_folder(
    folder: RunFolder,
    *,
    script: Path,
    inputs: dict[str, JsonValue],
    input_files: dict[str, Path | list[Path]],
    identity: Identity | None,
    level: IsolationLevel,
    show_script: bool,
) -> Job:
    """Copy in what the run cannot be shown where it lies; return what it is given.

    show_script: what ``can_be_shown`` said. Raises RunFolderError. Nothing in here belongs to the
    run's user, so that it cannot change what it was given.
    """
    # Where the run is the same user as the worker, only the mode stands in its way.
    shared = identity is None
    try:
        shown: list[tuple[Path, str]] = [(script, "script")]
        if not show_script:
            copy_tree(script, folder.path / "script", read_only=shared)
            shown = [(folder.path / "script", "script")]
        inputs_folder = folder.path / "inputs"
        if input_files or not level.hides_machine:
            inputs_folder.mkdir()
            shown.append((inputs_folder, "inputs"))
        given: dict[str, JsonValue] = dict(inputs)
        taken: set[str] = set()
        for name, source in input_files.items():
            paths: list[JsonValue] = []
            for file in source if isinstance(source, list) else [source]:
                file_name = _file_name(name, file, taken)
                _copy(file, inputs_folder / file_name, read_only=shared)
                paths.append(str(folder.places.given / "inputs" / file_name))
            given[name] = paths if isinstance(source, list) else paths[0]
        texts = {"input.json": json.dumps(given, ensure_ascii=False).encode()}
        if len(shown) > 1:
            inputs_folder.chmod(0o555 if shared else 0o755)
        if level.hides_machine:
            return Job(given, shown, texts)
        for name, data in {**texts, **harness()}.items():
            write(folder.path / name, data, shared)
    except OSError as error:
        raise RunFolderError(f"The run could not be given its files: {error.strerror}.") from error
    return Job(given)


def can_be_shown(folder: Path, identity: Identity | None, level: IsolationLevel) -> bool:
    """Return whether the run may have folder itself, read-only, instead of a copy.

    As another user than ours it must be able to read all of it. Raises RunFolderError for links
    and special files.
    """
    if not level.hides_machine:
        return False
    try:
        return _all_may_read(str(folder), identity is None)
    except OSError as error:
        raise RunFolderError(f"The script folder: {error.strerror}.") from error


def _all_may_read(folder: str, own: bool) -> bool:
    found = own or os.stat(folder).st_mode & 0o005 == 0o005  # noqa: PTH116 - for each run
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found &= _all_may_read(entry.path, own)
            elif entry.is_file(follow_symlinks=False):
                found &= own or entry.stat(follow_symlinks=False).st_mode & 0o004 != 0
            else:
                raise _not_a_file(entry.name)
    return found


def _not_a_file(name: str) -> RunFolderError:
    return RunFolderError(f"The script folder holds {name!r}, which is not a file.")


def copy_tree(source: Path, target: Path, *, read_only: bool) -> None:
    """Copy a folder of ordinary files, whatever the umask is. Raises RunFolderError for links."""
    target.mkdir()
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        path = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            copy_tree(Path(entry.path), path, read_only=read_only)
        elif entry.is_file(follow_symlinks=False):
            _copy(Path(entry.path), path, read_only=read_only)
        else:
            raise _not_a_file(entry.name)
    target.chmod(0o555 if read_only else 0o755)


def _copy(source: Path, target: Path, *, read_only: bool) -> None:
    executable = source.stat().st_mode & 0o100
    shutil.copyfile(source, target)
    mode = 0o755 if executable else 0o644
    target.chmod(mode & 0o555 if read_only else mode)


def write(path: Path, data: bytes, read_only: bool) -> None:
    path.write_bytes(data)
    path.chmod(0o444 if read_only else 0o644)


def _file_name(name: str, source: Path, taken: set[str]) -> str:
    """Return the name the script sees: the file's own where that is possible."""
    try:
        own = check_path(source.name, portable=False)
    except BundleError:
        own = name
    stem, dot, ending = own.rpartition(".")
    chosen, number = own, 1
    while chosen.casefold() in taken:
        number += 1
        chosen = f"{stem}-{number}{dot}{ending}" if stem else f"{own}-{number}"
    taken.add(chosen.casefold())
    return chosen


def remove_stale(runs: Path) -> None:
    """Remove what workers that were killed left behind; folders in use are locked."""
    for path in runs.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime < STALE_AFTER_S:
                continue
            descriptor = os.open(path, FOLDER_FLAGS)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(path)
            finally:
                os.close(descriptor)
