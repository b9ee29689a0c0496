"""The Pythons of this machine that scripts can be run with, and which of them a script gets."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from executors.contract import ExecutorError
from executors.script.interpreter import can_start, is_reachable, library_environment

OLDEST = (3, 8)
"""The oldest whose syntax the harness keeps to."""
NAME = re.compile(r"python3(\.\d{1,2})?")
PLACES = ("/usr/bin", "/usr/local/bin")
VERSIONS = (
    "/opt/python/*/bin",
    "~/.pyenv/versions/*/bin",
    "~/.local/share/uv/python/*/bin",
)
"""Where tools that manage several versions keep them."""
PROBE = (
    "import json, sys, sysconfig; print(json.dumps([list(sys.version_info[:3]), "
    "sys.version_info.releaselevel, sys.prefix == sys.base_prefix, "
    "sysconfig.get_config_var('SOABI')]))"
)
PROBE_TIMEOUT_S = 20
LONGEST_SPECIFIER = 200


class NoFittingInterpreter(ExecutorError):
    """No Python of this machine is the one a script asks for; the message names what is there."""


@dataclass(frozen=True)
class Interpreter:
    path: Path
    """Real path of the program; never one of a virtual environment."""
    version: tuple[int, int, int]
    tag: str
    """Kind, version and platform that compiled packages are made for, such as
    ``cpython-312-x86_64-linux-gnu``. What is installed for one fits all of the same tag."""

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


_probed: dict[tuple[str, int, int], Interpreter | None] = {}


def probe_interpreter(path: Path) -> Interpreter | None:
    """Return what the program at path is; None when it is no Python to run scripts with."""
    try:
        real = Path(os.path.realpath(path))
        found = real.stat()
        key = (str(real), found.st_ino, found.st_mtime_ns)
        if key not in _probed:
            _probed[key] = _ask(real)
        return _probed[key]
    except OSError:
        return None


def _ask(path: Path) -> Interpreter | None:
    """Start a program and ask. Only binaries that others cannot replace: no shims, no scripts."""
    if path.stat().st_mode & 0o002 or not os.access(path, os.X_OK):
        return None
    with path.open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            return None
    try:
        done = subprocess.run(
            [str(path), "-I", "-S", "-B", "-c", PROBE],
            env=library_environment(path),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        version, release, is_base, tag = json.loads(done.stdout)
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        return None
    if tuple(version) < OLDEST or release != "final" or not is_base or not tag:
        return None
    return Interpreter(path, tuple(version), tag)


def find_interpreters(
    base: Path, uid: int | None, places: Iterable[str | Path] | None = None
) -> list[Interpreter]:
    """Return base, then all others that uid can start, newest first.

    base is what scripts get that ask for nothing. uid None means the caller's own. places: files,
    or folders of them, that are looked at beside the usual ones and PATH.
    """
    found: dict[Path, Interpreter] = {}
    for path in [base, *_candidates(places or ())]:
        known = probe_interpreter(path)
        if known is None or known.path in found:
            continue
        if known.path != Path(os.path.realpath(base)) and uid is not None:
            if not is_reachable(known.path):
                continue
            if known.version >= (3, 11) and not can_start(known.path, uid):
                continue
        found[known.path] = known
    first = list(found.values())[:1]
    others = sorted(list(found.values())[1:], key=lambda one: one.version, reverse=True)
    return first + others


def _candidates(places: Iterable[str | Path]) -> Iterator[Path]:
    folders: list[Path] = []
    for place in map(Path, places):
        if place.is_file():
            yield place
        else:
            folders += [place, place / "bin", *sorted(place.glob("*/bin"))]
    folders += [Path(place) for place in PLACES]
    for pattern in VERSIONS:
        top, _, rest = os.path.expanduser(pattern).partition("*")  # noqa: PTH111 - has a pattern
        folders += sorted(Path(top).glob(f"*{rest}"))
    folders += [Path(place) for place in os.get_exec_path() if Path(place).is_absolute()]
    for folder in dict.fromkeys(folders):
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 - only the names
        except OSError:
            continue
        yield from (folder / name for name in names if NAME.fullmatch(name))


def parse_requires_python(text: str, *, where: str) -> SpecifierSet:
    """Return what ``requires-python`` allows. Raises NoFittingInterpreter."""
    try:
        if len(text) > LONGEST_SPECIFIER:
            raise InvalidSpecifier(text)
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise NoFittingInterpreter(
            f"{where} asks for Python {text[:60]!r}, which is not understood. Write it like "
            "'>=3.11' or '>=3.10,<3.13'."
        ) from None


def choose_interpreter(interpreters: list[Interpreter], wanted: SpecifierSet) -> Interpreter:
    """Return the newest that fits; the first, which is the platform's own, when any will do."""
    if not str(wanted):
        return interpreters[0]
    fitting = [one for one in interpreters if wanted.contains(one.version_text)]
    if not fitting:
        present = sorted({one.version for one in interpreters})
        raise NoFittingInterpreter(
            f"The script asks for Python {wanted}, but this machine has only "
            f"{', '.join('.'.join(map(str, version)) for version in present)}."
        )
    return max(fitting, key=lambda one: one.version)


def interpreter_for_tag(
    interpreters: list[Interpreter], tag: str, at_least: tuple[int, ...] = ()
) -> Interpreter:
    """Return one that packages for tag can be used with: the platform's own, else the newest.

    at_least: the version they were chosen for; an older one of the same tag is the last resort.
    """
    matching = [one for one in interpreters if one.tag == tag]
    if not matching:
        present = ", ".join(sorted({one.tag for one in interpreters}))
        raise NoFittingInterpreter(
            f"The script was prepared for {tag}, but this machine has only {present}."
        )
    good = [one for one in matching if one.version >= at_least]
    return good[0] if good else max(matching, key=lambda one: one.version)
