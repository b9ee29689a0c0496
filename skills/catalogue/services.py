from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db.models import Manager, Max, Q
from django.utils.timezone import now

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.permissions import can
from execfabric.core.roles import RUNNERS, SYSTEM, Role
from executors.contract import ExecutorError
from executors.manifest import Manifest, load_manifest
from executors.manifest.model import SLUG, SLUG_LENGTH, ResourceManifest
from executors.script.bundle import Bundle
from executors.script.environment.lock import Lock

from .described import asset_of, readme_of, words_of
from .edits import origin_of, version_with_edits
from .environments import build_and_store, lock_of
from .errors import NotVerified, VersionWithdrawn
from .models import (
    Maintainer,
    Right,
    Script,
    ScriptEnvironment,
    ScriptVersion,
    Skill,
    SkillBinding,
    SkillGrant,
    SkillVersion,
    Verification,
    Visibility,
    Withdrawal,
)
from .resources import check_resource
from .selectors import IS_PUBLISHED
from .verification.here import verify_here
from .verification.report import Report
from .workspace import store_bundle, sync_bundle

ONBOARD = "catalogue.script.onboard"
SCRIPT = "script"
DEFAULT_RIGHTS: dict[Right, frozenset[Role]] = {
    Right.SEE: frozenset({Role.VIEWER}),
    Right.RUN: RUNNERS,
    Right.APPROVE: frozenset({Role.OWNER, Role.ADMIN, Role.APPROVER}),
}
"""Who may do what with a skill that nobody has granted otherwise."""


def onboard_script(
    *,
    actor: Actor,
    bundle: Bundle,
    name: str = "",
    maintainer: Maintainer = Maintainer.TENANT,
) -> SkillVersion:
    """Store, sync, register and authorise a script folder as a skill of the current schema.

    name replaces the manifest's. The same bundle again changes nothing and returns the version it
    has; another one becomes the next version and is bound at once, unless the tenant pinned the one
    in use. Raises InvalidInput with what the author should mend.
    """
    if not can(actor, ONBOARD):
        # Refused there, and on record, before anything is stored or installed.
        return register_script(
            actor=actor,
            bundle=bundle,
            stored_as="",
            manifest=None,
            lock=None,
            problem="",
            name=name,
            maintainer=maintainer,
        )
    # Installing packages can take minutes, so it happens before the transaction.
    stored_as = store_bundle(bundle)
    manifest, lock, problem = None, None, ""
    try:
        folder = sync_bundle(bundle.digest, stored_as)
        described = load_manifest(folder)
        lock = _lock(bundle, folder, described)
        if lock is not None:
            build_and_store(lock)
        manifest = described
    except ExecutorError as error:
        problem = str(error)
    return register_script(
        actor=actor,
        bundle=bundle,
        stored_as=stored_as,
        manifest=manifest,
        lock=lock,
        problem=problem,
        name=name or (manifest.skill.name if manifest else ""),
        maintainer=maintainer,
    )


@action(ONBOARD, title="Onboard a script", roles=SYSTEM)
def register_script(
    *,
    actor: Actor,
    bundle: Bundle,
    stored_as: str,
    manifest: Manifest | None,
    lock: Lock | None,
    problem: str,
    name: str,
    maintainer: Maintainer = Maintainer.TENANT,
) -> SkillVersion:
    """Register a stored and synced bundle, bind and authorise it; see ``onboard_script``.

    manifest is None when the bundle cannot be used; problem says why. lock: its Python and
    packages, None for the platform's own Python alone. Raises InvalidInput.
    """
    if manifest is None:
        raise InvalidInput(problem)
    if not SLUG.fullmatch(name) or len(name) > SLUG_LENGTH:
        rule = f"Use a-z, 0-9 and single hyphens between them, at most {SLUG_LENGTH} characters."
        raise InvalidInput(f"The name {name[:80]!r} is not possible. {rule}", fields={"name": rule})
    version, is_new = add_version(
        bundle,
        stored_as,
        manifest,
        lock,
        name=name,
        author=actor.username,
        maintainer=maintainer,
    )
    if is_new:
        skill = locked_skill(version.skill)
        authorise_if_new(version, skill)
        if skill.is_pinned:
            Verification.objects.create(version=version, report={"checks": []}, verified_at=now())
        else:
            version = keeping_edits(skill, version, actor=actor)
            put_in_use(skill, version, actor=actor)  # It was synced a moment ago.
        version.skill = skill
    return version


def add_version(
    bundle: Bundle,
    stored_as: str,
    manifest: Manifest,
    lock: Lock | None,
    *,
    name: str,
    author: str,
    maintainer: Maintainer = Maintainer.TENANT,
) -> tuple[SkillVersion, bool]:
    """Return the version of the skill called name with these files, packages and description.

    And whether it is new; then it is the next one, and not in use. Must run inside a transaction.
    """
    script, _created = Script.objects.get_or_create(name=name)
    Script.objects.select_for_update().get(pk=script.pk)  # One at a time counts the versions.
    require_maintainer(name, maintainer)
    script_version = _register_script(script, bundle, manifest, lock, stored_as)
    skill, _created = Skill.objects.get_or_create(name=name, defaults={"maintainer": maintainer})
    skill = locked_skill(skill)
    words = {**words_of(skill.name, manifest, readme_of(bundle)), "kind": SCRIPT}
    for known in script_version.skill_versions.filter(skill=skill):
        if all(getattr(known, field) == value for field, value in words.items()):
            return known, False
    version = SkillVersion.objects.create(
        skill=skill,
        number=next_number(skill.versions),
        author=author,
        script_version=script_version,
        **words,
    )
    return version, True


def keeping_edits(skill: Skill, version: SkillVersion, *, actor: Actor) -> SkillVersion:
    """Return version, or one on the same script with what was edited of the one in use here.

    skill is locked. See ``edits``.
    """
    kept = version_with_edits(skill.version, version)
    if kept._state.adding:
        kept.number, kept.author = next_number(skill.versions), actor.username
        kept.save(force_insert=True)
    return kept


def authorise_if_new(version: SkillVersion, skill: Skill) -> bool:
    """Give a skill that was never in use the grants its version asks for; return whether it was.

    What somebody granted before stays. skill is locked.
    """
    if skill.version_id is not None:
        return False
    held = set(skill.grants.values_list("role", "right"))
    is_new = not skill.grants.exists()
    if version.visibility == Visibility.GRANTED:
        # An earlier try may have asked for the default rights, and stopped after it got them.
        if held == _default_rights():
            skill.grants.all().delete()
            is_new = True
    elif is_new:
        authorise(skill)
    return is_new


def require_maintainer(name: str, maintainer: Maintainer) -> None:
    """Raise InvalidInput when the skill of that name is there and is somebody else's.

    For whatever registers a script: ``public/`` ones come from the platform only, and the platform
    takes no name that a tenant uses.
    """
    theirs = Skill.objects.filter(name=name).exclude(maintainer=maintainer).first()
    if theirs is None:
        return
    why = (
        f"{name} is maintained by the platform; only the platform changes it."
        if theirs.is_public
        else f"{name} is a skill of this workspace, which the platform does not replace."
    )
    raise InvalidInput(f"{why} Choose another name.", fields={"name": why})


def locked_skill(skill: Skill) -> Skill:
    """Return skill as it is stored now, locked until the transaction ends.

    Whatever gives it a version or a binding holds this lock.
    """
    return Skill.objects.select_for_update().get(pk=skill.pk)


def put_in_use(
    skill: Skill,
    version: SkillVersion,
    *,
    actor: Actor,
    reason: str = "",
    verify: Callable[[Skill], Report] | None = None,
) -> SkillBinding:
    """Bind version, let it be verified, and write all of it down. skill is locked.

    verify is None for what was synced and registered a moment ago. Raises NotVerified, whose caller
    must let the transaction be undone, and VersionWithdrawn where the platform has recalled these
    files, under whatever version.
    """
    require_not_recalled(version)
    replaced = skill.version_id
    skill.version = version
    skill.save(update_fields=["version"])
    report = verify(skill) if verify else None
    return SkillBinding.objects.create(
        skill=skill,
        version=version,
        replaced_id=replaced,
        bound_by=actor.username,
        reason=reason,
        report=report.as_json() if report else [],
    )


def require_not_recalled(version: SkillVersion) -> None:
    """Raise VersionWithdrawn where a version with the same files was withdrawn here."""
    script = version.script_version
    same = Q(version=version) | Q(version__script_version__digest=script.digest if script else "")
    withdrawal = Withdrawal.objects.filter(same).first()
    if withdrawal is not None:
        raise VersionWithdrawn(withdrawal.reason)


def require_published(version: SkillVersion) -> None:
    """Raise Conflict for a version that is only registered: its publication did not come through.

    Whatever was in use, or was verified for it, can come into use again.
    """
    if not SkillVersion.objects.filter(IS_PUBLISHED, pk=version.pk).exists():
        raise Conflict(
            f"Version {version.number} was registered, but never published. Submit it for review."
        )


def require_verified(skill: Skill) -> Report:
    """Return the report on the version skill is bound to. Raises NotVerified where it fails."""
    report = verify_here(skill)
    if not report.passed:
        number = skill.version.number if skill.version else 0
        raise NotVerified(
            f"Version {number} cannot be used: {report.failures} Nothing was changed.",
            {"checks": report.as_json()},
        )
    return report


@action("catalogue.skill.register", title="Register a skill of another kind", roles=SYSTEM)
def register_skill(
    *,
    actor: Actor,
    manifest: ResourceManifest,
    readme: str = "",
    maintainer: Maintainer = Maintainer.TENANT,
    even_if_pinned: bool = False,
) -> SkillVersion:
    """Register a skill whose asset is no script, bind and authorise it.

    Its kind checks the resource. The same description again changes nothing, unless it was
    withdrawn; another one becomes the next version and is bound at once. even_if_pinned: also
    where the tenant pinned the one before, which cannot run any more. Raises InvalidInput.
    """
    kind = manifest.skill.kind
    if kind == SCRIPT:
        raise InvalidInput("A script is onboarded with its folder: manage.py onboard_script.")
    try:
        check_resource(kind, dict(manifest.resource))
    except ExecutorError as error:
        raise InvalidInput(str(error)) from error
    require_maintainer(manifest.skill.name, maintainer)
    skill, is_new = Skill.objects.get_or_create(
        name=manifest.skill.name, defaults={"maintainer": maintainer}
    )
    skill = locked_skill(skill)
    words = {**words_of(skill.name, manifest, readme), "kind": kind, "resource": manifest.resource}
    current = skill.version and origin_of(skill.version)
    is_same = current and all(getattr(current, name) == value for name, value in words.items())
    if current and is_same and not Withdrawal.objects.filter(version=current).exists():
        return skill.version or current
    version = SkillVersion.objects.create(
        skill=skill, number=next_number(skill.versions), author=actor.username, **words
    )
    if even_if_pinned or not skill.is_pinned:
        version = keeping_edits(skill, version, actor=actor)
        put_in_use(skill, version, actor=actor)
    if is_new and version.visibility == Visibility.TENANT:
        authorise(skill)
    return version


def authorise(skill: Skill) -> None:
    """Grant the baseline roles their default rights on a new skill."""
    SkillGrant.objects.bulk_create(
        SkillGrant(skill=skill, role=role, right=right) for role, right in sorted(_default_rights())
    )


def _default_rights() -> set[tuple[str, str]]:
    return {(role.value, right.value) for right, roles in DEFAULT_RIGHTS.items() for role in roles}


def _register_script(
    script: Script, bundle: Bundle, manifest: Manifest, lock: Lock | None, stored_as: str
) -> ScriptVersion:
    _register_environment(lock)
    asset = asset_of(bundle, manifest, lock)
    same = script.versions.filter(**asset).first()
    if same is not None:
        return same
    return ScriptVersion.objects.create(
        script=script,
        number=next_number(script.versions),
        stored_as=stored_as,
        size_bytes=bundle.size_bytes,
        **asset,
    )


def _register_environment(lock: Lock | None) -> None:
    if lock is not None:
        ScriptEnvironment.objects.get_or_create(
            digest=lock.digest,
            defaults={"python": lock.python, "python_tag": lock.tag, "lock": lock.text},
        )


def _lock(bundle: Bundle, folder: Path, manifest: Manifest) -> Lock | None:
    """Return the lock that was reviewed with this bundle, if it is known, else a new one.

    Raises ExecutorError.
    """
    known = (
        ScriptVersion.objects.filter(digest=bundle.digest, environment__isnull=False)
        .select_related("environment")
        .first()
    )
    if known is not None and known.environment is not None:
        row = known.environment
        return Lock(row.python, row.python_tag, row.lock)
    described = manifest.skill
    return lock_of(folder, runtime=described.runtime, requires_python=described.requires_python)


def next_number(versions: Manager[Any]) -> int:
    """Return the number after the latest; two at once end in the unique constraint."""
    return int(versions.aggregate(latest=Max("number"))["latest"] or 0) + 1
