from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.roles import SYSTEM
from executors.manifest import Manifest
from executors.script.bundle import Bundle
from executors.script.environment.lock import Lock

from ..errors import NotVerified
from ..models import Skill, SkillVersion, Verification, Withdrawal
from ..services import (
    add_version,
    authorise_if_new,
    keeping_edits,
    locked_skill,
    put_in_use,
    require_not_recalled,
)
from ..verification.elsewhere import verify_elsewhere, without_names
from ..verification.here import verify_here
from ..verification.report import Report


@action("catalogue.release.register", title="Register a reviewed version", roles=SYSTEM)
def register_release(
    *, actor: Actor, bundle: Bundle, stored_as: str, manifest: Manifest, lock: Lock | None
) -> SkillVersion:
    """Register script and skill version of a synced bundle; what is in use stays so.

    The same bundle with the same packages and description is the same version again.
    """
    version, _is_new = add_version(
        bundle, stored_as, manifest, lock, name=manifest.skill.name, author=actor.username
    )
    return version


@action(
    "catalogue.release.authorise", title="Authorise a new skill", roles=SYSTEM, target="version"
)
def authorise_release(*, actor: Actor, version: SkillVersion) -> bool:
    """Give a skill that was never in use the grants its version asks for; return whether it was."""
    return authorise_if_new(version, locked_skill(version.skill))


@action("catalogue.release.use", title="Put a version into use", roles=SYSTEM, target="version")
def use_release(*, actor: Actor, version: SkillVersion) -> Verification:
    """Bind a version, verify it here and in every other tenant, and keep the report with it.

    What was edited of the version in use is kept, by a version on the same script (``edits``): the
    report names which one came into use. Nobody sees the binding before all of it holds. Where the
    tenant keeps the version it has, the new one is verified and left for the tenant to bind.
    Raises NotVerified, VersionWithdrawn.
    """
    skill = locked_skill(version.skill)
    require_not_recalled(version)
    kept, as_submitted = skill.version, version
    version = keeping_edits(skill, as_submitted, actor=actor)
    if skill.is_pinned:
        _bind(skill, version)
        report = _verified_everywhere(skill).as_json()
        _bind(skill, kept)
    else:
        report = put_in_use(skill, version, actor=actor, verify=_verified_everywhere).report
    now = timezone.now()
    if version != as_submitted:  # The tenant may take it as it came: it is the same script.
        Verification.objects.create(
            version=as_submitted, report={"checks": report}, verified_at=now
        )
    return Verification.objects.create(version=version, report={"checks": report}, verified_at=now)


def _verified_everywhere(skill: Skill) -> Report:
    """Return what this tenant may read about the bound version. Raises NotVerified."""
    here, elsewhere = verify_here(skill, is_published=True), verify_elsewhere(skill)
    found = here + elsewhere
    if not found.passed:
        raise NotVerified(found.failures, {"checks": found.as_json()})
    return here + without_names(elsewhere)


def _bind(skill: Skill, version: SkillVersion | None) -> None:
    """Let version be the one that is looked at, for as long as the transaction lasts."""
    skill.version = version
    skill.save(update_fields=["version"])


@action(
    "catalogue.version.withdraw", title="Withdraw a version here", roles=SYSTEM, target="version"
)
def withdraw_version(
    *, actor: Actor, version: SkillVersion, reason: str, by: str, withdrawn_at: datetime
) -> Withdrawal:
    """Let nobody start a version any more. by: username in the public domain.

    Raises InvalidInput without a reason, Conflict when it is withdrawn already.
    """
    if not reason.strip():
        raise InvalidInput("Give a reason.", fields={"reason": "Say why it is withdrawn."})
    if Withdrawal.objects.filter(version=version).exists():
        raise Conflict(f"{version} is withdrawn already.")
    return Withdrawal.objects.create(
        version=version, reason=reason.strip(), withdrawn_by=by, withdrawn_at=withdrawn_at
    )
