"""The baseline roles. A permission names the roles that hold it (see permissions.grant)."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Roles inside a tenant, and the two that no account of a tenant can hold."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    APPROVER = "approver"
    VIEWER = "viewer"
    PLATFORM_ADMIN = "platform_admin"
    """Super-admin of the public domain; by marker or configured username only."""
    SYSTEM = "system"
    """Workers, scheduled scans and commands of the operator."""


TENANT_ROLES = {
    Role.OWNER: "Owner",
    Role.ADMIN: "Administrator",
    Role.DEVELOPER: "Developer",
    Role.OPERATOR: "Operator",
    Role.APPROVER: "Approver",
    Role.VIEWER: "Viewer",
}
"""The roles an account of a tenant can hold, with their English titles."""

MANAGERS = frozenset({Role.OWNER, Role.ADMIN})
RUNNERS = MANAGERS | {Role.DEVELOPER, Role.OPERATOR}
EVERYONE = frozenset(TENANT_ROLES)
PLATFORM = frozenset({Role.PLATFORM_ADMIN})
SYSTEM = frozenset({Role.SYSTEM})
