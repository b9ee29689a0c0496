"""Who is asked: people with some roles and no account, in the schema at hand."""

from __future__ import annotations

from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.roles import Role

from ..models import Skill, SkillVersion

RUN = "executions.execution.request"


def pretender(roles: frozenset[Role]) -> Actor:
    return Actor(
        schema=current_schema(),
        username="system:verification",
        display_name="verification",
        user_id=None,
        roles=roles,
        door=Door.PAGE,
    )


def version_of(skill: Skill) -> SkillVersion:
    if skill.version is None:
        raise ValueError(f"Skill {skill} has no version in use.")
    return skill.version
