"""What stands in a tenant's ledger, and how strictly a skill that writes is confirmed."""

from __future__ import annotations

from typing import Any

from skills.catalogue.models import Approval, Risk

from ..models import Confirmation, HttpResource, HttpResourceVersion, HttpWrite
from ..selectors import grants_of, latest_version, version_numbered


def writes_of(version: HttpResourceVersion) -> list[HttpWrite]:
    """Return the entries of the whitelist in force that calls of version can fall under."""
    spec = version.parsed()
    if spec.is_safe:
        return []
    entries = version.resource.writes_in_force().filter(method=spec.method)
    return [one for one in entries if _may_fit(one.path, spec.url_path)]


def ledger_words(version: HttpResourceVersion) -> dict[str, Any]:
    """Return the columns of a line in the ledger."""
    return {
        "name": version.resource.name,
        "title": version.title,
        "description": version.description,
        "request_summary": version.parsed().summary,
        "authentication": version.authentication_title,
        "write_boundary": [
            {"method": one.method, "path": one.path, "confirmation": one.confirmation}
            for one in writes_of(version)
        ],
    }


def rules_of(version: HttpResourceVersion, writes: list[HttpWrite]) -> dict[str, Any]:
    """Return the words of ``[skill]`` about risk and people. A write is always of high risk."""
    if version.parsed().is_safe:
        return {"risk": Risk.LOW.value, "idempotent": True}
    strict = any(one.confirmation == Confirmation.FOUR_EYES for one in writes)
    approval = Approval.FOUR_EYES if strict else Approval.NONE
    return {"risk": Risk.HIGH.value, "confirm": True, "approval": approval.value}


def refresh_ledger(resource: HttpResource) -> None:
    """Let the lines of all tenants say what is in force now."""
    for grant in list(grants_of(resource)):
        is_run = grant.skill_name != ""
        version = (
            version_numbered(resource, grant.version_number) if is_run else latest_version(resource)
        )
        grants_of(resource).filter(pk=grant.pk).update(**ledger_words(version))


def _may_fit(pattern: str, template: str) -> bool:
    """Return whether some inputs make the path of a template fit the pattern of an entry."""
    wanted, given = pattern.split("/"), template.split("/")
    return len(wanted) == len(given) and all(
        part == "*" or "{" in is_ or part == is_ for part, is_ in zip(wanted, given, strict=True)
    )
