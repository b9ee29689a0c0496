"""Where a version's asset comes from when the version only names it.

A version of another kind than script holds its resource spec itself, unless the package that owns
the kind registers here: then the version holds a name for the spec, which the owner looks up when
it is needed, and the secrets with it. So neither lies in a tenant's schema.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pydantic import JsonValue

from executors.registry import EXECUTORS

from .models import SkillVersion


class Resolved(NamedTuple):
    spec: dict[str, JsonValue]
    secrets: dict[str, str]


class Resources(Protocol):
    """Owns the resources of one kind. Both raise ExecutorError with words for the tenant."""

    def check(self, named: dict[str, JsonValue]) -> None:
        """Raise unless what a version names is there for the current schema to run."""

    def resolve(self, version: SkillVersion, *, purpose: str) -> Resolved:
        """Return what is run, for the current schema. purpose: what for, for the trail."""


_OWNERS: dict[str, Resources] = {}


def own_resources(kind: str, owner: Resources) -> None:
    """Let owner look up the resources of kind. A second owner is an error."""
    if kind in _OWNERS:
        raise ValueError(f"Two packages own the resources of kind {kind!r}.")
    _OWNERS[kind] = owner


def check_resource(kind: str, resource: dict[str, JsonValue]) -> None:
    """Raise ExecutorError unless resource can be run, as kind has it."""
    executor = EXECUTORS.get(kind)
    if kind in _OWNERS:
        _OWNERS[kind].check(resource)
    else:
        executor.validate(resource)


def resolve_resource(version: SkillVersion, *, purpose: str) -> Resolved:
    """Return the spec and the secrets of a version that is no script. Raises ExecutorError."""
    if version.kind in _OWNERS:
        return _OWNERS[version.kind].resolve(version, purpose=purpose)
    return Resolved(dict(version.resource), {})
