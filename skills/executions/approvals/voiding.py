"""Requests that wait for people, but can come to nothing whatever these say."""

from __future__ import annotations

from typing import Protocol

from django.db.models import F, Q

from skills.catalogue.errors import VersionWithdrawn
from skills.catalogue.models import Skill
from skills.catalogue.selectors import reason_version_withdrawn

ANOTHER_VERSION = "Another version of this skill is in use now. Ask for the run again."

OVERTAKEN = ~Q(skill__version_id=F("version_id")) | Q(version__withdrawal__isnull=False)
"""Of executions and batches: the version that was asked for will not run any more."""
STILL_ASKED = Q(
    skill__is_enabled=True, skill__version_id=F("version_id"), version__withdrawal__isnull=True
)
"""Those about which a word of somebody changes anything. A disabled skill may be enabled again."""

DECISIONS = frozenset({"confirm", "approve", "reject"})
"""Acts that are pointless on what is void."""


class Asked(Protocol):
    """An execution or a batch."""

    skill: Skill
    version_id: int


def void_because(asked: Asked) -> str:
    """Return why a waiting request cannot go on, for who asked and who decides; empty if it can."""
    skill = asked.skill
    if reason := reason_version_withdrawn(asked.version_id):
        return VersionWithdrawn(reason).message
    if skill.version_id != asked.version_id:
        return ANOTHER_VERSION
    if not skill.is_enabled:
        why = f": {skill.disabled_reason}" if skill.disabled_reason else "."
        return f"The skill is disabled{why}"
    return ""
