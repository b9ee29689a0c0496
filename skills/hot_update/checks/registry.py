"""What a check is, what it finds, and the report made of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog

from executors.contract import ExecutorError
from executors.manifest import Manifest
from executors.script.bundle import Bundle

logger = structlog.get_logger(__name__)

MODULES = (
    *("entry", "readme", "manifest", "edits"),
    *("files", "secrets", "risky_calls", "requirements"),
)
"""In the order of the report: what is quick and often wrong first."""
MOST_LINES = 30


class Level(StrEnum):
    PASS = "pass"  # noqa: S105 - a level, no password
    WARN = "warn"
    """A reviewer should look at it."""
    BLOCK = "block"
    """No reviewer sees the submission before it is mended."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One revision, as the checks see it."""

    bundle: Bundle
    folder: Path
    """The files of the bundle, to read."""
    stored_as: str
    """In the storage of the tenant at hand."""
    manifest: Manifest | None
    """The effective one; None when it cannot be used."""
    manifest_problem: str = ""

    @property
    def entry(self) -> str:
        if self.manifest is not None:
            return self.manifest.skill.entry
        return "main.py" if self.bundle.read("main.py") is not None else "main.sh"


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    details: str
    """Plain text for the author, maybe several lines; never a secret that was found."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The same for programs, where a reviewer's page compares it."""


@dataclass(frozen=True, slots=True)
class Check:
    code: str
    title: str
    find: Callable[[Subject], Finding]

    @property
    def module(self) -> str:
        return self.find.__module__.rpartition(".")[2]


CHECKS: dict[str, Check] = {}


def check(code: str, *, title: str) -> Callable[[Callable[[Subject], Finding]], Any]:
    """Register a check. A second one of that code is an error."""

    def register(find: Callable[[Subject], Finding]) -> Callable[[Subject], Finding]:
        if code in CHECKS:
            raise ValueError(f"The check {code} is registered twice.")
        CHECKS[code] = Check(code, title, find)
        return find

    return register


def report_on(subject: Subject) -> list[dict[str, Any]]:
    """Make every check; return one entry for each, see ``entry_of``."""
    for module in MODULES:
        import_module(f"{__package__}.{module}")
    ordered = sorted(CHECKS.values(), key=lambda each: MODULES.index(each.module))
    return [entry_of(each.code, each.title, _find(each, subject)) for each in ordered]


def entry_of(code: str, title: str, finding: Finding) -> dict[str, Any]:
    """Return {"check", "level", "title", "details", "facts"}, as a revision stores it."""
    return {
        "check": code,
        "level": finding.level.value,
        "title": title,
        "details": finding.details,
        "facts": finding.facts,
    }


def _find(each: Check, subject: Subject) -> Finding:
    try:
        return each.find(subject)
    except ExecutorError as error:
        return Finding(Level.BLOCK, str(error))
    except Exception:  # A file that breaks a check must not pass it.
        logger.exception("check.broke", check=each.code)
        return Finding(Level.BLOCK, "This check could not be made. The platform's log says why.")


def in_lines(found: Iterable[str]) -> str:
    """Return sentences one a line; of very many the first ones."""
    lines = list(dict.fromkeys(found))
    rest = len(lines) - MOST_LINES
    return "\n".join([*lines[:MOST_LINES], *([f"… and {rest} more."] if rest > 0 else [])])
