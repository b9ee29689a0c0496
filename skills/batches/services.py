"""What people do with batches. What the platform does is in lifecycle.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils import timezone

from execfabric.core import audit, wake
from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.request_context import current_request_id
from execfabric.core.roles import EVERYONE, RUNNERS
from execfabric.core.states import advance_all
from skills.catalogue.models import Skill, SkillVersion
from skills.catalogue.selectors import not_withdrawn
from skills.executions import policy
from skills.executions.approvals.rules import rules_in_force
from skills.executions.contents import open_content
from skills.executions.inputs import digest_of
from skills.executions.lifecycle import CANCEL
from skills.executions.models import Execution, StoredFile
from skills.executions.services import APPROVED, LONGEST_KEY
from skills.executions.states import EXECUTION_TRANSITIONS, Status

from . import lifecycle, rules  # noqa: F401  # the rules of who may act on which batch
from .approving import approvals_standing, is_cleared
from .checking import CheckedRow, check_rows
from .mapping import checked_mapping, file_input_of, file_value, inputs_of
from .models import Batch, BatchKind, BatchRow
from .moves import locked, move_batch, without_waiting_rows
from .reading import open_table
from .states import RETRIABLE, BatchStatus, RowStatus

NEXT: dict[Status, BatchStatus] = {
    Status.AWAITING_CONFIRMATION: BatchStatus.AWAITING_CONFIRMATION,
    Status.AWAITING_APPROVAL: BatchStatus.AWAITING_APPROVAL,
    Status.QUEUED: BatchStatus.RUNNING,
}
"""What the policy says of one execution, said of a whole batch."""
NOBODYS_WORD: dict[str, Any] = {
    "confirmed_by_id": None,
    "approved_by_id": None,
    "released_at": None,
}
"""What a batch that is asked for anew has of the people who let it run before."""


@action("batches.batch.create", title="Prepare a batch", roles=RUNNERS, target="skill")
def create_batch(
    *,
    actor: Actor,
    skill: Skill,
    source: StoredFile | None = None,
    files: Sequence[StoredFile] = (),
    mapping: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    idempotency_key: str = "",
) -> Batch:
    """Read and check the rows of source, or one row for each of files; nothing runs yet.

    mapping changes which column fills which input (checked_mapping); inputs are the same for all
    rows. The same idempotency key of the same actor returns the first batch again. Raises
    InvalidInput with what cannot be used as a whole; errors of single rows stand on the rows.
    """
    version = _version_in_use(skill)
    policy.check_door(version, actor.door)
    if bool(source) == bool(files):
        raise InvalidInput("Give either a file of rows, or files of which each becomes one run.")
    if len(idempotency_key) > LONGEST_KEY:
        raise InvalidInput(f"The idempotency key may have {LONGEST_KEY} characters at most.")
    now = timezone.now()
    batch = Batch(
        skill=skill,
        version=version,
        requested_by_id=actor.require_account(),
        door=actor.door,
        request_id=current_request_id(),
        idempotency_key=idempotency_key or None,
        asked_digest=digest_of(
            {
                "source": source and str(source.pk),
                "files": [str(file.pk) for file in files],
                "mapping": mapping or {},
                "inputs": inputs or {},
            }
        ),
        name=source.name if source else f"{len(files)} files",
        kind=BatchKind.ROWS if source else BatchKind.FILES,
        source=source,
        inputs=_known(version, inputs or {}),
        status=BatchStatus.DRAFT,
        total_rows=0,
        invalid_rows=0,
        waiting_rows=0,
        created_at=now,
        asked_at=now,
    )
    if (earlier := lifecycle.insert_once(batch)) is not None:
        return earlier
    _fill(actor, batch, mapping=mapping or {}, files=files)
    return batch


@action("batches.batch.map", title="Change the columns of a batch", roles=RUNNERS, target="batch")
def map_columns(
    *, actor: Actor, batch: Batch, mapping: Mapping[str, Any], inputs: Mapping[str, Any]
) -> Batch:
    """Read a draft's file again with another mapping and other inputs for all rows."""
    fresh = locked(batch.pk)
    _require(fresh, BatchStatus.DRAFT, "Only a batch that was not started can be changed.")
    if fresh.kind != BatchKind.ROWS:
        raise Conflict("A batch of files has no columns.")
    _check_version(fresh)
    fresh.inputs = _known(fresh.version, inputs)
    fresh.rows.all().delete()
    _fill(actor, fresh, mapping=mapping, files=())
    return fresh


@action("batches.batch.start", title="Start a batch", roles=RUNNERS, target="batch")
def start_batch(*, actor: Actor, batch: Batch, skip_invalid: bool = False) -> Batch:
    """Let a draft run, or wait for who must decide about it first.

    Rows with errors are left out, which must be said by skip_invalid. Raises Conflict.
    """
    fresh = locked(batch.pk)
    _require(fresh, BatchStatus.DRAFT, "This batch was started already.")
    if not fresh.waiting_rows:
        raise Conflict("No row of this batch can run. Mend the file, or choose other columns.")
    if fresh.invalid_rows and not skip_invalid:
        raise Conflict(
            f"{fresh.invalid_rows} of {fresh.total_rows} rows have errors. Mend them, or say that "
            "they shall be left out (skip_invalid)."
        )
    if fresh.kind == BatchKind.ROWS and not fresh.mapping:
        raise Conflict("No column of the file fills an input. Choose the columns first.")
    return _submitted(actor, fresh)


@action("batches.batch.confirm", title="Confirm a batch", roles=RUNNERS, target="batch")
def confirm_batch(*, actor: Actor, batch: Batch) -> Batch:
    """Let a whole batch that awaits confirmation go on. Raises Conflict."""
    fresh = locked(batch.pk)
    _require(fresh, BatchStatus.AWAITING_CONFIRMATION, "It does not wait for a confirmation.")
    to = NEXT[_decided(fresh).status_after_confirmation]
    return _moved_on(fresh, to=to, confirmed_by_id=actor.user_id)


@action("batches.batch.approve", title="Approve a batch", roles=EVERYONE, target="batch")
def approve_batch(*, actor: Actor, batch: Batch) -> Batch:
    """Add actor's approval; with the last one that is needed the whole batch goes on.

    Never by who asked for it, nor in their name, and by each only once. Raises Conflict.
    """
    fresh = locked(batch.pk)
    _require(fresh, BatchStatus.AWAITING_APPROVAL, "This batch does not wait for an approval.")
    demand = _decided(fresh).demand
    if demand.confirm and fresh.confirmed_by_id is None:
        raise Conflict("By the rules now in force it must be confirmed first. Ask for it again.")
    lifecycle.record_approval(actor, fresh)
    if len(approvals_standing(fresh, now=timezone.now())) < demand.approvals:
        wake.announce(fresh.topic, APPROVED)
        return fresh
    return _moved_on(fresh, to=BatchStatus.RUNNING, approved_by_id=actor.user_id)


@action("batches.batch.reject", title="Reject a batch", roles=EVERYONE, target="batch")
def reject_batch(*, actor: Actor, batch: Batch, reason: str) -> Batch:
    """Refuse a waiting batch for good; the reason is shown to who asked for it."""
    if not reason.strip():
        raise InvalidInput("Give a reason.", fields={"reason": "Say why it is rejected."})
    fresh = locked(batch.pk)
    if not fresh.status.startswith("awaiting_"):
        raise Conflict("This batch does not wait for a decision.")
    return move_batch(
        fresh,
        to=BatchStatus.REJECTED,
        rejected_by_id=actor.user_id,
        rejection=reason.strip(),
        finished_at=timezone.now(),
        **without_waiting_rows(fresh),
    )


@action("batches.batch.pause", title="Pause a batch", roles=RUNNERS, target="batch")
def pause_batch(*, actor: Actor, batch: Batch) -> Batch:
    """Hand over no further rows; those with the workers still end. Raises InvalidTransition."""
    return move_batch(batch, to=BatchStatus.PAUSED, held_because="")


@action("batches.batch.resume", title="Resume a batch", roles=RUNNERS, target="batch")
def resume_batch(*, actor: Actor, batch: Batch) -> Batch:
    """Let a paused batch go on. Raises Conflict.

    Where it lay for longer than a request may wait, the rules have become stricter, or who approved
    it may not do so any more, people are asked anew.
    """
    fresh = locked(batch.pk)
    _require(fresh, BatchStatus.PAUSED, "This batch is not paused.")
    _check_version(fresh)
    in_force, now = rules_in_force(), timezone.now()
    decision = policy.decide(fresh.version, in_force)
    lies_since = fresh.released_at or fresh.asked_at
    if decision.mode != policy.Mode.AUTO and (
        lies_since < now - in_force.expires_after or not is_cleared(fresh, decision, now=now)
    ):
        if fresh.sent_rows:
            raise Conflict("Some of its rows are still running. Resume it when they have ended.")
        return _submitted(actor, fresh, held_because="", **NOBODYS_WORD)
    return _moved_on(fresh, to=BatchStatus.RUNNING, held_because="", released_at=None)


@action("batches.batch.cancel", title="Cancel a batch", roles=RUNNERS, target="batch")
def cancel_batch(*, actor: Actor, batch: Batch) -> Batch:
    """Hand over no further rows, drop those in the queue and ask those that run to stop.

    It is cancelled as soon as the last of them has ended. Raises Conflict when it is over.
    """
    fresh = locked(batch.pk)
    if fresh.is_final or fresh.status == BatchStatus.CANCELLING:
        raise Conflict("This batch is over already; there is nothing to cancel.")
    now = timezone.now()
    counters = without_waiting_rows(fresh)
    if not fresh.sent_rows:
        return move_batch(fresh, to=BatchStatus.CANCELLED, finished_at=now, **counters)
    moved = move_batch(fresh, to=BatchStatus.CANCELLING, **counters)
    sent = moved.rows.filter(status=RowStatus.SENT).values_list("execution_id", flat=True)
    _stop(actor, Execution.objects.filter(pk__in=list(sent)))
    lifecycle.count_ended(list(sent))
    lifecycle.go_on(moved.pk)
    return locked(moved.pk)


@action("batches.batch.retry", title="Retry the failed rows", roles=RUNNERS, target="batch")
def retry_batch(*, actor: Actor, batch: Batch) -> Batch:
    """Run the failed rows of a finished batch once more; the same rules apply again."""
    fresh = locked(batch.pk)
    _require(fresh, BatchStatus.FINISHED, "Only a batch that is finished can be retried.")
    if not fresh.failed_rows:
        raise Conflict("No row of this batch failed.")
    again = fresh.rows.filter(status__in=RETRIABLE).update(status=RowStatus.WAITING)
    return _submitted(
        actor,
        fresh,
        waiting_rows=again,
        failed_rows=fresh.failed_rows - again,
        finished_at=None,
        **NOBODYS_WORD,
    )


def _submitted(actor: Actor, batch: Batch, **fields: Any) -> Batch:
    """Move a locked batch to where the policy wants it: to a person, or to the workers."""
    _check_version(batch)
    policy.check_door(batch.version, actor.door)
    decision = policy.decide(batch.version, rules_in_force())
    decision.require_allowed()
    to = NEXT[decision.first_status]
    return _moved_on(batch, to=to, asked_at=timezone.now(), **fields)


def _moved_on(batch: Batch, *, to: BatchStatus, **fields: Any) -> Batch:
    if to == BatchStatus.RUNNING and batch.started_at is None:
        fields["started_at"] = timezone.now()
    moved = move_batch(batch, to=to, **fields)
    if to != BatchStatus.RUNNING:
        return moved
    lifecycle.go_on(moved.pk)
    return locked(moved.pk)


def _stop(actor: Actor, executions: Any) -> None:
    """End those of executions that wait in the queue, and ask those that run to stop."""
    now = timezone.now()
    advance_all(
        executions,
        since=Status.QUEUED,
        to=Status.CANCELLED,
        table=EXECUTION_TRANSITIONS,
        cancel_requested_at=now,
        finished_at=now,
    )
    running = executions.filter(status=Status.RUNNING, cancel_requested_at__isnull=True)
    running.update(cancel_requested_at=now)
    stopped = list(executions.filter(cancel_requested_at=now).select_related("skill"))
    audit.record_many("executions.execution.cancel", actor=actor, targets=stopped, inputs={})
    for execution in stopped:
        wake.announce(execution.topic, CANCEL)


def _fill(
    actor: Actor, batch: Batch, *, mapping: Mapping[str, Any], files: Sequence[StoredFile]
) -> None:
    """Store the checked rows of a draft that has none, and its counters."""
    if batch.kind == BatchKind.FILES:
        _store(actor, batch, _rows_of_files(batch, files, mapping))
        return
    if batch.source is None:
        raise Conflict("The file of this batch is no longer stored. Upload it again.")
    source = batch.source
    with (
        open_content(source) as stored,
        open_table(stored, name=source.name, size_bytes=source.size_bytes) as table,
    ):
        batch.columns = table.columns
        batch.mapping = checked_mapping(batch.version, table.columns, mapping)
        rows = (
            CheckedRow(row.number, {}, errors={"row": row.problem})
            if row.problem
            else CheckedRow(
                row.number,
                inputs_of(
                    batch.version, batch.mapping, batch.inputs, row.values, is_typed=table.is_typed
                ),
            )
            for row in table.rows
        )
        _store(actor, batch, rows)


def _rows_of_files(
    batch: Batch, files: Sequence[StoredFile], mapping: Mapping[str, Any]
) -> Iterator[CheckedRow]:
    name = file_input_of(batch.version)
    if name is None:
        raise InvalidInput(
            "Many files need a skill with exactly one file input. Send a file of rows instead."
        )
    if mapping:
        raise InvalidInput("A batch of files has no columns.", fields={"mapping": "Leave it out."})
    for number, file in enumerate(files, start=1):
        value = file_value(batch.version, name, str(file.pk))
        yield CheckedRow(number, {**batch.inputs, name: value})


def _store(actor: Actor, batch: Batch, rows: Iterator[CheckedRow]) -> None:
    total = invalid = 0
    for chunk in check_rows(actor, batch.version, rows):
        total += len(chunk)
        invalid += sum(1 for row in chunk if row.errors)
        BatchRow.objects.bulk_create(
            BatchRow(
                batch=batch,
                number=row.number,
                status=RowStatus.INVALID if row.errors else RowStatus.WAITING,
                inputs=row.inputs,
                errors=row.errors or None,
            )
            for row in chunk
        )
    if not total:
        raise InvalidInput("The file has no rows.", fields={"file": "It has no rows."})
    batch.total_rows, batch.invalid_rows, batch.waiting_rows = total, invalid, total - invalid
    batch.save(
        update_fields=[
            *("columns", "mapping", "inputs", "total_rows", "invalid_rows", "waiting_rows")
        ]
    )


def _known(version: SkillVersion, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs that are the same for all rows; their values are checked with each row."""
    unknown = [name for name in inputs if name not in version.input_fields]
    if unknown:
        fields = {name[:100]: "is not an input of this skill" for name in unknown[:20]}
        raise InvalidInput("Some inputs are not right.", fields=fields)
    return dict(inputs)


def _version_in_use(skill: Skill) -> SkillVersion:
    if skill.version is None:
        raise Conflict(f"Skill {skill.name} has no version in use.")
    return not_withdrawn(skill.version)


def _check_version(batch: Batch) -> None:
    """Raise Conflict when another version than the one the rows were checked for is in use."""
    if not_withdrawn(batch.version).pk != batch.skill.version_id:
        raise Conflict(
            f"Another version of {batch.skill.name} is in use now. Start a new one for the rest."
        )


def _decided(batch: Batch) -> policy.Decision:
    """Return what a waiting batch needs by the rules in force. Raises Conflict, NotPermitted."""
    in_force = rules_in_force()
    if batch.asked_at < timezone.now() - in_force.expires_after:
        raise Conflict("This request is too old to go on. Ask for the batch again.")
    _check_version(batch)
    decision = policy.decide(batch.version, in_force)
    decision.require_allowed()
    return decision


def _require(batch: Batch, status: BatchStatus, otherwise: str) -> None:
    if batch.status != status:
        raise Conflict(otherwise)
