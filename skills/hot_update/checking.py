"""Checks one revision on a worker: the report, then the trial run, then both are recorded."""

from __future__ import annotations

import io
from typing import Any
from uuid import UUID

import structlog
from django.core.cache import cache

from execfabric.core.actor import Actor
from execfabric.core.errors import NotFound, Postponed
from execfabric.core.storage import open_file
from executors.contract import ExecutorError
from executors.manifest import Manifest
from executors.manifest.model import ManifestError
from executors.script.bundle import Bundle, BundleError, read_archive

from .checks import Finding, Level, Subject, report_on
from .checks.registry import entry_of
from .checks.requirements import locked
from .models import Revision
from .states import SubmissionStatus
from .submitting.manifests import draft_of, unpacked
from .submitting.services import record_checks
from .trial import finding_of, try_out

logger = structlog.get_logger(__name__)

CLAIM_S = 3_600
"""How long one worker has a revision for itself: longer than any check and trial take."""
CHANGED = "The stored files are not the ones that were submitted. Submit them again."


def check_revision(revision_id: UUID | str) -> None:
    """Check a revision of the tenant at hand. One that does not wait for it is left alone."""
    waiting = Revision.objects.select_related("submission__tenant").filter(
        pk=revision_id, submission__status=SubmissionStatus.CHECKING
    )
    revision = waiting.first()
    if revision is None or not cache.add(claim_of(revision.pk), True, CLAIM_S):
        logger.info("revision.not_checked", revision=str(revision_id))
        return
    try:
        checks, trial = examine(revision)
        record_checks(actor=Actor.system("worker"), revision=revision, checks=checks, trial=trial)
    except Postponed as error:  # Withdrawn, or replaced by a newer one, meanwhile.
        logger.info("revision.checked_in_vain", revision=str(revision_id), reason=str(error))
    finally:
        cache.delete(claim_of(revision.pk))


def claim_of(revision_id: UUID) -> str:
    return f"hot_update-checking-{revision_id}"


def examine(revision: Revision) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the report and the trial of a revision; nothing is recorded."""
    try:
        bundle = _bundle_of(revision)
    except (BundleError, NotFound) as error:
        logger.error("revision.files_changed", revision=str(revision.pk), error=str(error))
        return [
            entry_of("digest", "The files are those submitted", Finding(Level.BLOCK, CHANGED))
        ], {}
    manifest, problem = _manifest_of(revision, bundle)
    with unpacked(bundle) as folder:
        subject = Subject(bundle, folder, revision.stored_as, manifest, problem)
        checks = report_on(subject)
    trial = _trial_of(revision, bundle, manifest, checks)
    return [*checks, finding_of(trial)], trial


def _bundle_of(revision: Revision) -> Bundle:
    """Return what is stored. Raises BundleError when it is not what was submitted."""
    with open_file(revision.stored_as) as stored:
        bundle = read_archive(io.BytesIO(stored.read()))
    if bundle.digest != revision.digest:
        raise BundleError("The digest is another one.")
    return bundle


def _manifest_of(revision: Revision, bundle: Bundle) -> tuple[Manifest | None, str]:
    """Return the effective manifest, or None and why there is none."""
    if problem := draft_of(bundle).problem:
        return None, problem
    try:
        return Manifest.from_tables(revision.manifest, file="The manifest"), ""
    except ManifestError as error:
        return None, str(error)


def _trial_of(
    revision: Revision, bundle: Bundle, manifest: Manifest | None, checks: list[dict[str, Any]]
) -> dict[str, Any]:
    if manifest is None or any(entry["level"] == Level.BLOCK for entry in checks):
        return {"status": "skipped", "summary": "It was not tried, since a check blocks it."}
    try:
        return try_out(
            bundle, revision.stored_as, manifest, locked(checks), name=f"trial-{revision.pk}"
        )
    except ExecutorError as error:
        return {"status": "skipped", "summary": f"It could not be tried: {error}"[:2000]}
    except Exception:  # The report is worth having without the trial.
        logger.exception("trial.broke", revision=str(revision.pk))
        return {
            "status": "skipped",
            "summary": "It could not be tried. The platform's log says why.",
        }
