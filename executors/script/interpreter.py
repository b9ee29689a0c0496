"""Finds a Python that the user id of a run can start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from executors.script.level import MachineProblem
from executors.script.removal import remove_tree

OLDEST = (3, 11)
PROBE = "import encodings, json, select, sys; print(sys.version_info[0], sys.version_info[1])"
PROBE_TIMEOUT_S = 20
NOT_COPIED = {"test", "tests", "site-packages", "idlelib", "tkinter", "turtledemo", "ensurepip"}


_answered: set[tuple[str, int | None]] = set()


class NoInterpreter(MachineProblem):
    """No Python on this machine can be started by the user id of a run."""


def find_interpreter(
    uid: int | None,
    *,
    cache: Path,
    candidates: Iterable[str | Path] | None = None,
) -> Path:
    """Return the path of a Python 3.11 or newer that uid can start.

    uid None means the caller's own. When every candidate lies out of uid's reach, as one below
    root's home does, the standard library and the binary are copied once into cache, which must
    be reachable itself. Raises NoInterpreter.
    """
    for candidate in default_candidates() if candidates is None else candidates:
        if can_start(Path(candidate), uid):
            return Path(candidate)
    copy = copy_interpreter(cache)
    if not can_start(copy, uid):
        raise NoInterpreter(
            f"No Python interpreter can be started by the user id of a run ({uid}). Install "
            f"Python 3.11 or newer under /usr, or put the state folder ({cache.parent}) where "
            "every user may enter."
        )
    return copy


def default_candidates() -> list[str]:
    """Return interpreters worth trying, the one closest to our own first; no virtual ones."""
    own = getattr(sys, "_base_executable", None) or sys.executable
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    names = [version, "python3", "python3.13", "python3.12", "python3.11"]
    places = ("/usr/bin", "/usr/local/bin")
    found = [os.path.realpath(own), *(f"{place}/{name}" for name in names for place in places)]
    return list(dict.fromkeys(found))


def can_start(python: Path, uid: int | None) -> bool:
    """Return whether uid can start python, and python is new enough."""
    if uid is not None and not is_reachable(python):
        return False
    return _answers(str(python), uid)


def is_reachable(path: Path) -> bool:
    """Return whether all users may enter the folders above path and start what it leads to.

    Root ignores these bits, so it has to look at them.
    """
    try:
        if any(not parent.stat().st_mode & 0o001 for parent in path.absolute().parents):
            return False
        real = Path(os.path.realpath(path))
        if any(not parent.stat().st_mode & 0o001 for parent in real.parents):
            return False
        return real.is_file() and real.stat().st_mode & 0o005 == 0o005
    except OSError:
        return False


def _answers(python: str, uid: int | None) -> bool:
    """Start python as uid: access lists, mounts and missing libraries show only this way."""
    if (python, uid) in _answered:
        return True
    as_user = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
    try:
        done = subprocess.run(
            [python, "-I", "-S", "-B", "-c", PROBE],
            env=library_environment(Path(python)),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
            **as_user,  # type: ignore[call-overload]
        )
        major, minor = map(int, done.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    if (major, minor) < OLDEST:
        return False
    # Only a yes is remembered: what is missing today may be installed without a restart.
    _answered.add((python, uid))
    return True


def library_environment(python: Path) -> dict[str, str]:
    """Return what a copied interpreter needs to find its shared library; empty for others."""
    return dict(_library_environment(python))


@cache
def _library_environment(python: Path) -> dict[str, str]:
    home = Path(os.path.realpath(python)).parent.parent
    is_copy = (home / ".execfabric-copy").exists()
    return {"LD_LIBRARY_PATH": str(home / "lib")} if is_copy else {}


def copy_interpreter(cache: Path) -> Path:
    """Copy our own base interpreter into cache, once, and return the copy's path.

    Safe when several workers do it at once. Packages are not copied: a run sees only the standard
    library and its own environment.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"
    target = cache / f"python-{version}"
    binary = target / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if target.is_dir():
        return binary
    cache.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o755)
    partial = Path(tempfile.mkdtemp(prefix=".python-", dir=cache))
    try:
        _copy_into(partial, binary.name)
        partial.rename(target)
    except OSError as error:
        remove_tree(partial)
        if not target.is_dir():
            raise NoInterpreter(f"Python could not be copied to {cache}: {error}.") from error
    return binary


def _copy_into(folder: Path, binary: str) -> None:
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    source = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    (folder / "bin").mkdir()
    (folder / "lib").mkdir()
    shutil.copy(source, folder / "bin" / binary)
    for shared in (Path(sys.base_prefix) / "lib").glob("libpython*.so*"):
        shutil.copy(shared, folder / "lib" / shared.name, follow_symlinks=True)
    shutil.copytree(
        library,
        folder / "lib" / library.name,
        ignore=lambda _folder, names: NOT_COPIED.intersection(names),
        ignore_dangling_symlinks=True,
    )
    (folder / ".execfabric-copy").touch()
    for path in _all_below(folder):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def _all_below(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")
