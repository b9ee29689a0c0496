from __future__ import annotations

import re
import time

from executors.script.environment import EnvironmentBuildError, read_requirements
from skills.catalogue.workspace import sync_bundle

from .registry import Finding, Level, Subject, check, in_lines

PAUSES_S = (0.0, 2.0, 5.0)
"""Before each attempt, since an index that cannot be reached may be back in a moment."""
UNREACHABLE = re.compile(
    r"(?i)error sending request|failed to fetch|could not connect|connection (?:refused|reset)"
    r"|dns error|timed? ?out|tls|network|temporar|unreachable|50[234]|could not be started"
    r"|took more"
)
"""How the installer says that it asked nobody, as opposed to that there is no such package."""
NOT_THERE = re.compile(
    r"(?i)no solution|not found in the package registry|no version of|unsatisfiable"
)


@check("requirements", title="What it needs can be installed")
def check_requirements(subject: Subject) -> Finding:
    """Installs it, too: the environment is then there for the trial and for the first run."""
    wanted = read_requirements(subject.folder).splitlines()
    for pause_s in PAUSES_S:
        time.sleep(pause_s)
        try:
            sync_bundle(subject.bundle.digest, subject.stored_as)
        except EnvironmentBuildError as error:
            said = str(error)
            if not is_unreachable(said):
                return Finding(Level.BLOCK, said)
        else:
            return _installed(wanted)
    return Finding(
        Level.WARN,
        f"The package index could not be reached, so nobody knows. Check again later.\n{said}",
        {"unreachable": True},
    )


def is_unreachable(said: str) -> bool:
    return bool(UNREACHABLE.search(said)) and not NOT_THERE.search(said)


def _installed(wanted: list[str]) -> Finding:
    if not wanted:
        return Finding(Level.PASS, "It needs nothing beyond the standard library.")
    loose = [line for line in wanted if "==" not in line]
    if loose:
        return Finding(
            Level.WARN,
            in_lines([*(f"{line} names no exact version." for line in loose),
                      "Pin each with ==, so that what runs is what was reviewed."]),
        )  # fmt: skip
    return Finding(Level.PASS, in_lines(wanted))
