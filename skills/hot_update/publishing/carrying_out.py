"""Carries out what is left of a publication, on a worker. No transaction spans a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog

from execfabric.core.actor import Actor
from execfabric.core.errors import DomainError, Postponed
from executors.contract import ExecutorError
from skills.catalogue.errors import NotVerified

from ..models import Revision
from ..states import Step, StepStatus, SubmissionStatus
from . import authorise, register, services, sync, verify
from .claims import claimed
from .log import StepLog
from .registered import registered_version

logger = structlog.get_logger(__name__)

STEPS: dict[Step, Callable[[Revision, StepLog], dict[str, Any]]] = {
    Step.SYNC: sync.run,
    Step.REGISTER: register.run,
    Step.AUTHORISE: authorise.run,
    Step.VERIFY: verify.run,
}


def publish_revision(revision_id: UUID | str) -> None:
    """Go on with a publication from its first step that is not done, to the end or a failure.

    A second delivery does nothing; one after a worker died goes on where that one was.
    """
    with claimed(f"publishing:{revision_id}") as is_ours:
        if not is_ours:
            logger.info("publication.others_at_it", revision=str(revision_id))
            return
        revisions = Revision.objects.select_related("submission__tenant")
        revision = revisions.filter(
            pk=revision_id, submission__status=SubmissionStatus.PUBLISHING
        ).first()
        if revision is None:
            logger.info("publication.not_wanted", revision=str(revision_id))
            return
        done = set(revision.steps.filter(status=StepStatus.DONE).values_list("step", flat=True))
        for step in Step:
            if step not in done and not _carry_out(revision, step):
                return


def _carry_out(revision: Revision, step: Step) -> bool:
    """Do one step and record it; return whether the next one may follow."""
    actor, log = Actor.system("publisher"), StepLog()
    report: dict[str, Any] = {}
    try:
        services.begin_step(actor=actor, revision=revision, step=step)
        report = STEPS[step](revision, log)
        if step == Step.VERIFY:
            version = registered_version(revision)
            services.go_live(actor=actor, revision=revision, version=version, log=log.text)
        else:
            services.finish_step(
                actor=actor, revision=revision, step=step, log=log.text, report=report
            )
    except Postponed as error:  # Decided otherwise meanwhile.
        logger.info("publication.ended", revision=str(revision.pk), reason=error.message)
        return False
    except Exception as error:  # noqa: BLE001 - the reviewer sees that it stopped, and can resume
        _stop(actor, revision, step, log, error)
        return False
    return True


def _stop(actor: Actor, revision: Revision, step: Step, log: StepLog, error: Exception) -> None:
    report: dict[str, Any] = {}
    if isinstance(error, DomainError | ExecutorError):
        log.say(str(error))
        report = {"problem": str(error)}
    else:
        logger.exception("publication.broke", revision=str(revision.pk), step=step.value)
        log.say("The platform failed at this. Its log says why; resume when that is mended.")
        report = {"problem": f"The platform failed: {type(error).__name__}."}
    if isinstance(error, NotVerified):
        report.update(error.report)
    services.fail_step(actor=actor, revision=revision, step=step, log=log.text, report=report)
