from __future__ import annotations

import time
from typing import Any

from executors.contract import ExecutorError
from executors.script.environment.installer import NOT_ALLOWED_MESSAGE, OFFLINE_MESSAGE
from executors.script.environment.lock import Lock
from skills.catalogue.environments import build_and_store, lock_of

from .registry import Finding, Level, Subject, check, in_lines

PAUSES_S = (0.0, 2.0, 5.0)
"""Before each attempt, since an index that cannot be reached may be back in a moment."""
OF_THE_PLATFORM = (
    OFFLINE_MESSAGE,
    NOT_ALLOWED_MESSAGE,
    "There is no room for the packages",
    "uv could not be started",
)
"""How messages begin that say nothing about the packages, only that nobody could ask."""


@check("requirements", title="What it needs can be installed")
def check_requirements(subject: Subject) -> Finding:
    """Locks and installs it, too: what is tried and reviewed is what a version would get."""
    if subject.manifest is None:
        return Finding(
            Level.BLOCK, "Without a valid manifest it is not known which Python it needs."
        )
    skill = subject.manifest.skill
    said = ""
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        try:
            lock = lock_of(
                subject.folder, runtime=skill.runtime, requires_python=skill.requires_python
            )
            if lock is not None:
                build_and_store(lock)
        except ExecutorError as error:
            said = str(error)
            if not is_of_the_platform(said):
                return Finding(Level.BLOCK, said)
        else:
            return _installed(lock)
    return Finding(
        Level.WARN,
        f"Nobody knows yet whether it can. Check again later.\n{said}",
        {"unknown": True},
    )


def is_of_the_platform(said: str) -> bool:
    return said.startswith(OF_THE_PLATFORM)


def locked(checks: list[dict[str, Any]]) -> Lock | None:
    """Return the lock a report was made with; None when the platform's own Python is enough."""
    for entry in checks:
        facts = entry["facts"]
        if entry["check"] == "requirements" and "lock" in facts:
            return Lock(facts["python"], facts["tag"], facts["lock"])
    return None


def _installed(lock: Lock | None) -> Finding:
    if lock is None:
        return Finding(Level.PASS, "It needs nothing beyond the platform's own Python.")
    packages = [f"{package.name} {package.version}" for package in lock.packages]
    facts = {"python": lock.python, "tag": lock.tag, "lock": lock.text, "digest": lock.digest}
    return Finding(Level.PASS, in_lines([f"Python {lock.python}", *packages]), facts)
