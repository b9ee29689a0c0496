"""The locked set of a script: every package with its version and hashes, for one kind of Python.

It is made once, when a script comes in, and is part of what is reviewed. What is installed later
is this and nothing else.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from executors.script.environment.errors import EnvironmentBuildError
from executors.script.environment.installer import RESOLVE_TIMEOUT_S, Installer
from executors.script.environment.wanted import BLOCK, Wanted, read_wanted
from executors.script.interpreters import (
    Interpreter,
    choose_interpreter,
    parse_requires_python,
)

LOCK_BYTES = 1024 * 1024
MOST_PACKAGES = 500
ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[A-Za-z0-9._,-]*\])?==(?P<version>[A-Za-z0-9.!+_-]+)"
    r"(?P<hashes>(?: --hash=sha(?:256|384|512):[0-9a-f]+)+)"
)


@dataclass(frozen=True)
class Package:
    name: str
    version: str


@dataclass(frozen=True)
class Lock:
    python: str
    """Version it was made with, such as ``3.12.1``."""
    tag: str
    """See ``Interpreter.tag``."""
    text: str
    """Lines of ``name==version --hash=…``, one a package, as ``--require-hashes`` takes them; empty
    where only the Python is chosen."""

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.python.split("."))

    @property
    def digest(self) -> str:
        """What an environment of it is found by: sha256 in hex over tag and text."""
        return hashlib.sha256(f"{self.tag}\n{self.text}".encode()).hexdigest()

    @property
    def packages(self) -> list[Package]:
        return [Package(name, version) for name, version, _ in parse_lock(self.text)]


def lock_script(
    folder: Path,
    *,
    requires_python: str = "",
    interpreters: list[Interpreter],
    installer: Installer,
) -> Lock | None:
    """Return the locked set of a script folder; None when the platform's own Python is enough.

    requires_python: that of the manifest, which holds beside that of the script block.
    interpreters: those present, the platform's own first. Raises EnvironmentBuildError and
    NoFittingInterpreter with what the author should mend.
    """
    wanted = read_wanted(folder)
    fits = parse_requires_python(requires_python, where="requires_python of skill.toml")
    fits &= parse_requires_python(wanted.requires_python, where=BLOCK)
    python = choose_interpreter(interpreters, fits)
    text = lock_packages(wanted, python=python, fits=fits, installer=installer)
    if not text and python == interpreters[0]:
        return None
    return Lock(python.version_text, python.tag, text)


def lock_packages(
    wanted: Wanted, *, python: Interpreter, fits: SpecifierSet, installer: Installer
) -> str:
    """Resolve what is wanted into the text of a lock. Raises EnvironmentBuildError."""
    if not wanted.requirements:
        return ""
    with tempfile.NamedTemporaryFile("w", suffix=".in", encoding="utf-8") as listed:
        listed.write("\n".join(wanted.requirements) + "\n")
        listed.flush()
        said = installer.run(
            ["pip", "compile", "--quiet", "--generate-hashes", "--only-binary", ":all:",
             "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
             "--python", str(python.path), listed.name],
            python=python.path, doing="resolved", timeout_s=RESOLVE_TIMEOUT_S,
        )  # fmt: skip
    lines = []
    for name, version, hashes in parse_lock(said):
        given = {value for owner, value in wanted.hashes if owner == canonicalize_name(name)}
        kept = [value for value in hashes if not given or value in given]
        if not kept:
            raise EnvironmentBuildError(
                f"None of the hashes given for {name} is one of version {version} at the index."
            )
        lines.append(" ".join([f"{name}=={version}", *(f"--hash={value}" for value in kept)]))
    return "\n".join(lines) + "\n"


def parse_lock(text: str) -> list[tuple[str, str, list[str]]]:
    """Return name, version and hashes of each entry. Raises EnvironmentBuildError for any other."""
    if len(text) > LOCK_BYTES:
        raise EnvironmentBuildError("The packages and their files are too many. Ask for fewer.")
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    entries = []
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        match = ENTRY.fullmatch(line)
        if not match:
            raise EnvironmentBuildError(
                f"{line[:100]!r} came out of resolving, which is no package with its hashes."
            )
        hashes = [word.removeprefix("--hash=") for word in match["hashes"].split()]
        entries.append((match["name"], match["version"], hashes))
    if len(entries) > MOST_PACKAGES:
        raise EnvironmentBuildError(
            f"The script needs {len(entries)} packages, those they need included; at most "
            f"{MOST_PACKAGES} are possible."
        )
    return entries
