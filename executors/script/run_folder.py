"""The folders of one run.

    <run>/          root, group of the run, 0710: nobody else can enter
      script/       copy of the script folder, not writable
      inputs/       copies of the input files, not writable
      input.json    the inputs
      harness.py    starts a Python script
      work/         current directory and HOME; belongs to the run, as do the next three
      tmp/
      output/       becomes the artifacts
      report/       result and progress

Where the worker is not root, all of it belongs to the worker's user.
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
from importlib.resources import files
from pathlib import Path

from pydantic import JsonValue

from executors.contract import ExecutorError
from executors.script.artifacts import FOLDER_FLAGS
from executors.script.bundle import BundleError, check_path
from executors.script.identity import Identity
from executors.script.removal import remove_tree

RESULT_NAME = "result.json"
PROGRESS_NAME = "progress"
STALE_AFTER_S = 60
WRITABLE = ("work", "tmp", "output", "report")


class RunFolderError(ExecutorError):
    """The folders of a run could not be made."""


@dataclass(frozen=True)
class RunFolder:
    """Paths, and folders opened before the script could replace them."""

    path: Path
    lock: int
    output: int
    report: int
    progress: int

    def __truediv__(self, name: str) -> Path:
        return self.path / name


@contextmanager
def make_run_folder(runs: Path, identity: Identity | None) -> Iterator[RunFolder]:
    """Yield fresh folders below runs; they are removed at the end. Raises RunFolderError."""
    path = runs / secrets.token_hex(12)
    opened: list[int] = []
    try:
        try:
            folder = _make(path, identity, opened)
        except OSError as error:
            raise RunFolderError(
                f"The folders of the run could not be made: {error.strerror}."
            ) from error
        yield folder
    finally:
        try:
            # What cannot be removed now is retried by the next sweep.
            with suppress(OSError):
                remove_tree(path)
        finally:
            for descriptor in opened:
                os.close(descriptor)


def _make(path: Path, identity: Identity | None, opened: list[int]) -> RunFolder:
    path.mkdir(mode=0o700)

    def hold(descriptor: int) -> int:
        opened.append(descriptor)
        return descriptor

    lock = hold(os.open(path, FOLDER_FLAGS))
    fcntl.flock(lock, fcntl.LOCK_EX)
    for name in WRITABLE:
        (path / name).mkdir(mode=0o700)
    output = hold(os.open(path / "output", FOLDER_FLAGS))
    report = hold(os.open(path / "report", FOLDER_FLAGS))
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    progress = hold(os.open(PROGRESS_NAME, flags, 0o600, dir_fd=report))
    if identity is not None:
        os.fchown(progress, identity.uid, identity.gid)
        for name in WRITABLE:
            os.chown(path / name, identity.uid, identity.gid, follow_symlinks=False)
        os.fchown(lock, os.geteuid(), identity.gid)
        os.fchmod(lock, 0o710)
    return RunFolder(path, lock, output, report, progress)


def fill_run_folder(
    folder: RunFolder,
    *,
    script: Path,
    inputs: dict[str, JsonValue],
    input_files: dict[str, Path | list[Path]],
    identity: Identity | None,
) -> dict[str, JsonValue]:
    """Copy script and input files in; return the inputs as the script gets them.

    Raises RunFolderError. Nothing in here belongs to the run's user, so that it cannot change
    what it was given.
    """
    # Where the run is the same user as the worker, only the mode stands in its way.
    shared = identity is None
    try:
        copy_tree(script, folder / "script", read_only=shared)
        (folder / "inputs").mkdir()
        given: dict[str, JsonValue] = dict(inputs)
        taken: set[str] = set()
        for name, source in input_files.items():
            paths: list[JsonValue] = []
            for file in source if isinstance(source, list) else [source]:
                path = folder / "inputs" / _file_name(name, file, taken)
                _copy(file, path, read_only=shared)
                paths.append(str(path))
            given[name] = paths if isinstance(source, list) else paths[0]
        (folder / "inputs").chmod(0o555 if shared else 0o755)
        write(folder / "input.json", json.dumps(given, ensure_ascii=False).encode(), shared)
        write(folder / "harness.py", _harness_source(), shared)
    except OSError as error:
        raise RunFolderError(f"The run could not be given its files: {error.strerror}.") from error
    return given


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
            raise RunFolderError(f"The script folder holds {entry.name!r}, which is not a file.")
    target.chmod(0o555 if read_only else 0o755)


def _copy(source: Path, target: Path, *, read_only: bool) -> None:
    executable = source.stat().st_mode & 0o100
    shutil.copyfile(source, target)
    mode = 0o755 if executable else 0o644
    target.chmod(mode & 0o555 if read_only else mode)


def write(path: Path, data: bytes, read_only: bool) -> None:
    path.write_bytes(data)
    path.chmod(0o444 if read_only else 0o644)


def _harness_source() -> bytes:
    return files("executors.script").joinpath("harness.py").read_bytes()


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
