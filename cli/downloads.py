"""Saves artifacts to a folder. The server's names are only suggestions, never paths."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from cli.client import Client, Json
from cli.errors import CliError, usage_error
from cli.exit_codes import ExitCode
from cli.output import Screen
from cli.terminal import clean_line

NAME_BYTES = 200
FILE_EXISTS = "file_exists"
"""Code of the error for a file that is in the way."""
_SEPARATORS = re.compile(r"[/\\]+")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def safe_name(name: str) -> str:
    """Return a plain file name, valid on every system, that stays close to name.

    Folders become part of the name, a leading dot becomes ``_``; never empty, "." or "..".
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cs", "Zl", "Zp"))
    parts = [part for part in _SEPARATORS.split(text) if part.strip(". ")]
    text = _FORBIDDEN.sub("_", "_".join(parts)).strip().rstrip(". ")
    text = re.sub(r"^\.+", "_", text)
    if _DEVICES.match(text):
        text = f"_{text}"
    return _shortened(text) or "artifact"


def safe_names(names: Sequence[str]) -> list[str]:
    """Return one safe name each, all different even where a disk ignores upper and lower case."""
    taken: set[str] = set()
    chosen = []
    for name in names:
        first = candidate = safe_name(name)
        number = 2
        while candidate.casefold() in taken:
            stem, dot, suffix = first.rpartition(".")
            candidate = f"{stem} ({number}).{suffix}" if stem and dot else f"{first} ({number})"
            number += 1
        taken.add(candidate.casefold())
        chosen.append(candidate)
    return chosen


def prepare_folder(folder: Path) -> None:
    """Create the folder if needed. Raises CliError (usage) when files can't be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise usage_error(f"The folder {folder} cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise usage_error(f"The folder {folder} is not writable.")


def holds_files(folder: Path) -> bool:
    """Return whether something is in folder, so that a download may find its name taken."""
    try:
        return next(folder.iterdir(), None) is not None
    except OSError:
        return False  # not to be listed; the download itself says what is wrong


def download_all(
    client: Client, screen: Screen, artifacts: list[Json], folder: Path, *, overwrite: bool
) -> list[Path]:
    """Save every artifact and return the paths, in the same order.

    Nothing is fetched when a file is in the way. Raises CliError.
    """
    prepare_folder(folder)
    names = safe_names([str(artifact.get("name", "")) for artifact in artifacts])
    targets = [folder / name for name in names]
    in_the_way = [path for path in targets if os.path.lexists(path)]
    if in_the_way and not overwrite:
        raise CliError(
            f"{_named(in_the_way)} already. Nothing was downloaded.",
            ExitCode.USAGE,
            code=FILE_EXISTS,
            hint="Choose another folder, or add --overwrite.",
        )
    with _progress(screen) as progress:
        for artifact, target in zip(artifacts, targets, strict=True):
            size = artifact.get("size_bytes")
            task = progress.add_task(
                clean_line(target.name), total=size if isinstance(size, int) else None
            )
            opened = client.content(str(artifact.get("id", "")))
            check = partial(_check, artifact)
            _save(opened, target, progress, task, overwrite=overwrite, check=check)
    return targets


def download_archive(
    client: Client, screen: Screen, reference: str, folder: Path, *, overwrite: bool
) -> Path:
    """Save all files of an execution as one ZIP file and return its path. Raises CliError."""
    prepare_folder(folder)
    target = folder / f"{safe_name(reference)}.zip"
    if os.path.lexists(target) and not overwrite:
        raise CliError(
            f"{_named([target])} already. Nothing was downloaded.",
            ExitCode.USAGE,
            code=FILE_EXISTS,
            hint="Choose another folder, or add --overwrite.",
        )
    with _progress(screen) as progress:
        task = progress.add_task(clean_line(target.name), total=None)
        opened = client.archive(reference)
        _save(opened, target, progress, task, overwrite=overwrite, check=_check_archive)
    return target


def save_stream(
    screen: Screen,
    opened: AbstractContextManager[Iterator[bytes]],
    target: Path,
    *,
    overwrite: bool,
) -> None:
    """Save a download whose size and digest are not known before. Raises CliError."""
    check = _check_archive if target.suffix in (".zip", ".xlsx") else _check_nothing
    with _progress(screen) as progress:
        task = progress.add_task(clean_line(target.name), total=None)
        _save(opened, target, progress, task, overwrite=overwrite, check=check)


def _save(
    opened: AbstractContextManager[Iterator[bytes]],
    target: Path,
    progress: Progress,
    task: TaskID,
    *,
    overwrite: bool,
    check: Callable[[Path, str], None],
) -> None:
    """Write beside the target first, so a broken download never leaves half a file there."""
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".execfabric-")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            digest = hashlib.sha256()
            with opened as pieces:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    progress.advance(task, len(piece))
        check(temporary, digest.hexdigest())
        temporary.chmod(0o666 & ~_umask())  # mkstemp made it private
        if not overwrite:
            target.open("xb").close()  # takes the name, or fails if it appeared meanwhile
        temporary.replace(target)  # replaces a link itself, never what it leads to
        temporary = None
    except OSError as error:
        raise usage_error(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _check(artifact: Json, _saved: Path, digest: str) -> None:
    expected = artifact.get("sha256")
    if expected and str(expected).lower() != digest:
        raise _damaged(clean_line(artifact.get("name", "")))


def _check_archive(saved: Path, _digest: str) -> None:
    """The end of a ZIP file lists what is in it: without it something broke off."""
    if not zipfile.is_zipfile(saved):
        raise _damaged("The archive")


def _check_nothing(_saved: Path, _digest: str) -> None:
    """A table may end anywhere; a stream that broke off is an error of its own."""


def _damaged(what: str) -> CliError:
    return CliError(
        f"{what} arrived damaged and was not kept.",
        ExitCode.UNREACHABLE,
        code="damaged_download",
        hint="Try again.",
    )


def _shortened(name: str) -> str:
    """Cut to NAME_BYTES of UTF-8 before the extension."""
    if len(name.encode()) <= NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > 20:
        stem, dot, suffix = name, "", ""
    kept = stem.encode()[: NAME_BYTES - len(suffix.encode()) - 1].decode(errors="ignore")
    return f"{kept.rstrip('. ')}{dot}{suffix}"


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _named(paths: list[Path]) -> str:
    if len(paths) == 1:
        return f"{paths[0]} exists"
    return f"{paths[0]} and {len(paths) - 1} more exist"


def _progress(screen: Screen) -> Progress:
    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
    ]
    return Progress(
        *columns, console=screen.err, transient=True, disable=not screen.err.is_terminal
    )
