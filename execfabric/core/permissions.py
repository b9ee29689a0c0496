"""The one permission check. Codes are declared where the act is; nothing else decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .actor import Actor, current_schema
from .errors import NotPermitted
from .roles import Role

TargetRule = Callable[[Actor, object], bool]


@dataclass(frozen=True, slots=True)
class Permission:
    code: str
    """area.object.verb"""
    title: str
    roles: frozenset[Role]


PERMISSIONS: dict[str, Permission] = {}
TARGET_RULES: dict[str, TargetRule] = {}


def grant(code: str, *, title: str, roles: frozenset[Role]) -> Permission:
    """Declare a permission and the roles that hold it. A second declaration is an error."""
    if code in PERMISSIONS:
        raise ValueError(f"Permission {code} is declared twice.")
    if len(code.split(".")) != 3:
        raise ValueError(f"Permission {code} is not named area.object.verb.")
    PERMISSIONS[code] = Permission(code, title, roles)
    return PERMISSIONS[code]


def target_rule(code: str) -> Callable[[TargetRule], TargetRule]:
    """Register a further condition on the target of code, such as "only an own one"."""

    def register(rule: TargetRule) -> TargetRule:
        if code in TARGET_RULES:
            raise ValueError(f"Permission {code} has two target rules.")
        TARGET_RULES[code] = rule
        return rule

    return register


def can(actor: Actor, code: str, target: object = None) -> bool:
    """Return whether actor may do code to target. Every check ends here.

    An actor of another schema may do nothing, and so does an unknown code (KeyError).
    """
    permission = PERMISSIONS[code]
    if actor.schema != current_schema():
        return False
    if not actor.roles & permission.roles:
        return False
    rule = TARGET_RULES.get(code)
    return rule is None or rule(actor, target)


def require(actor: Actor, code: str, target: object = None) -> None:
    """Raise NotPermitted unless ``can(actor, code, target)``."""
    if not can(actor, code, target):
        title = PERMISSIONS[code].title
        raise NotPermitted(f"You are not permitted to do this: {title[0].lower()}{title[1:]}.")
