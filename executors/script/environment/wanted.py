"""What a script asks for: packages, and a version of Python.

Only named packages are taken: no options, addresses, paths or other files, which would reach past
the review. Everything is bounded, and nothing here starts a program.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from executors.script.environment.errors import EnvironmentBuildError

REQUIREMENTS = "requirements.txt"
SCRIPT = "main.py"
BLOCK = f"The script block of {SCRIPT}"
READ_BYTES = 1024 * 1024
REQUIREMENTS_BYTES = 256 * 1024
MOST_REQUIREMENTS = 500
LONGEST_REQUIREMENT = 500
SHOWN = 100

HASH_OPTION = re.compile(r"\s--hash[=\s](sha(?:256|384|512):[0-9a-fA-F]+)(?=\s|$)")
FILE_ENDINGS = (".whl", ".zip", ".gz", ".txt", ".toml", ".in", ".egg", ".bz2", ".tgz")
BLOCK_START = "# /// script"
BLOCK_END = "# ///"
ONLY = "Only named packages can be installed, such as 'openpyxl==3.1.5'."


@dataclass(frozen=True)
class Wanted:
    requirements: tuple[str, ...] = ()
    """One package each, sorted, without hashes."""
    hashes: frozenset[tuple[str, str]] = frozenset()
    """Normalised name and hash, where the author gave any."""
    requires_python: str = ""
    """All conditions of the block, joined by commas; empty when any version will do."""


def read_wanted(folder: Path) -> Wanted:
    """Return what a script folder asks for in ``requirements.txt`` or the script block (PEP 723).

    Raises EnvironmentBuildError with what the author should mend.
    """
    listed, script = folder / REQUIREMENTS, folder / SCRIPT
    block = _script_block(_read(script, READ_BYTES)) if script.is_file() else {}
    dependencies = block.get("dependencies", [])
    if not isinstance(dependencies, list):
        raise EnvironmentBuildError(f"{BLOCK}: dependencies must be a list of texts.")
    requires_python = block.get("requires-python", "")
    if not isinstance(requires_python, str):
        raise EnvironmentBuildError(f"{BLOCK}: requires-python must be a text such as '>=3.11'.")
    lines: list[tuple[str, Any]]
    if listed.is_file():
        lines = list(_logical_lines(_read(listed, REQUIREMENTS_BYTES)))
        if dependencies:
            raise EnvironmentBuildError(
                f"Both {REQUIREMENTS} and the script block of {SCRIPT} list packages. Remove "
                f"{REQUIREMENTS}, or remove the key dependencies from the block."
            )
    else:
        lines = [(BLOCK, line) for line in dependencies]
    if len(lines) > MOST_REQUIREMENTS:
        raise EnvironmentBuildError(
            f"There are {len(lines)} lines of packages; at most {MOST_REQUIREMENTS} are possible."
        )
    requirements, hashes = set(), set()
    for where, line in lines:
        bare, given = _without_hashes(where, line)
        name = _check_named(where, bare)
        requirements.add(bare)
        hashes |= {(name, value) for value in given}
    return Wanted(tuple(sorted(requirements)), frozenset(hashes), requires_python.strip())


def _without_hashes(where: str, line: Any) -> tuple[str, list[str]]:
    if not isinstance(line, str):
        raise EnvironmentBuildError(f"{where} asks for {str(line)[:SHOWN]!r}. {ONLY}")
    return HASH_OPTION.sub("", line).strip(), HASH_OPTION.findall(line)


def _check_named(where: str, line: str) -> str:
    """Return the normalised name in a requirement. Raises EnvironmentBuildError."""
    shown = f"{where} asks for {line[:SHOWN]!r}"
    if len(line) > LONGEST_REQUIREMENT:
        raise EnvironmentBuildError(
            f"{shown}…, which is longer than {LONGEST_REQUIREMENT} characters."
        )
    if line.startswith("-") or re.search(r"\s--?[a-zA-Z]", line):
        raise EnvironmentBuildError(f"{shown}, which is an option. {ONLY}")
    # A variable of ours could be filled in where a $ stands.
    if "$" in line or not line.isprintable():
        raise EnvironmentBuildError(
            f"{shown}, which has a character that cannot stand there. {ONLY}"
        )
    try:
        requirement = Requirement(line)
    except (InvalidRequirement, RecursionError):
        is_address = "://" in line or line.startswith((".", "/", "~"))
        what = "an address or a path" if is_address else "not a package and its versions"
        raise EnvironmentBuildError(f"{shown}, which is {what}. {ONLY}") from None
    if requirement.url or requirement.name.lower().endswith(FILE_ENDINGS):
        raise EnvironmentBuildError(f"{shown}, which is an address or a path. {ONLY}")
    return canonicalize_name(requirement.name)


def _logical_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield requirement lines without comments, and where each begins; ``\\`` joins the next."""
    joined, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        start = start if joined else number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        whole, joined = joined + line, ""
        if bare := _without_comment(whole):
            yield f"{REQUIREMENTS}, line {start},", bare
    if bare := _without_comment(joined):
        yield f"{REQUIREMENTS}, line {start},", bare


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*$", "", line).strip()


def _script_block(source: str) -> dict[str, Any]:
    """Return the tables of the PEP 723 block; empty without one."""
    bodies = list(_block_bodies(source.splitlines()))
    if len(bodies) > 1:
        raise EnvironmentBuildError(f"{SCRIPT} has more than one script block. Keep one.")
    if not bodies:
        return {}
    try:
        block = tomllib.loads("\n".join(line[2:] for line in bodies[0]))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise EnvironmentBuildError(f"{BLOCK} is not TOML: {str(error)[:200]}.") from error
    tool = block.get("tool")
    if isinstance(tool, dict) and "uv" in tool:
        raise EnvironmentBuildError(
            f"{BLOCK} has a table [tool.uv]. Where packages come from is the platform's business; "
            f"remove the table. {ONLY}"
        )
    return block


def _block_bodies(lines: list[str]) -> Iterator[list[str]]:
    """Yield the comment lines of each block: from its start to the last end before other lines."""
    body: list[str] | None = None
    end = None
    for line in [*(line.rstrip() for line in lines), ""]:
        is_comment = line == "#" or line.startswith("# ")
        if body is None:
            if line == BLOCK_START:
                body, end = [], None
        elif is_comment:
            if line == BLOCK_END:
                end = len(body)
            body.append(line)
        else:
            if end is not None:
                yield body[:end]
            body = None


def _read(path: Path, most: int) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise EnvironmentBuildError(
                f"{path.name} is too large: at most {most // 1024} KiB are possible."
            )
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EnvironmentBuildError(f"{path.name} is not UTF-8 text.") from error
    except OSError as error:
        raise EnvironmentBuildError(f"{path.name} cannot be read: {error.strerror}.") from error
