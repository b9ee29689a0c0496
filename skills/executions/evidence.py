"""The evidence pack of one execution: everything that tells what was asked, allowed and done.

Its events carry proofs and seals (core.sealing.bundle), so that they can be verified offline. The
rest is what the platform has on record; secrets are hidden.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from execfabric.core.actor import Actor, current_schema
from execfabric.core.models import AuditEvent
from execfabric.core.sealing.bundle import EVIDENCE_FORMAT
from execfabric.core.sealing.canonical import parse
from execfabric.core.selectors import audit_events_visible_to
from execfabric.web.audit.exporting import proof_of

from .approvals.digests import version_digest
from .inputs import files_of
from .models import Execution, RunGrant
from .presentation import masked
from .selectors import log_end

LOG_CHARS = 2_000_000
"""Of the log's end; a longer one is for download."""


def events_about(actor: Actor, execution: Execution) -> QuerySet[AuditEvent]:
    """Return the events about execution that actor may read, the oldest first."""
    events = audit_events_visible_to(actor)
    return events.filter(target_type="executions.execution", target_id=str(execution.pk)).order_by(
        "pk"
    )


def evidence_of(actor: Actor, execution: Execution, *, made_at: datetime) -> dict[str, Any]:
    """Return the pack as a JSON document. Moments are ISO 8601, UTC."""
    version = execution.version
    script = version.script_version
    chunks, left_out = log_end(execution, 0, chars=LOG_CHARS)
    grant = RunGrant.objects.filter(execution=execution).first()
    files = {
        name: [
            {"name": one.name, "size_bytes": one.size_bytes, "sha256": one.sha256} for one in some
        ]
        for name, some in files_of(version, execution.inputs).items()
    }
    lines = proof_of(events_about(actor, execution), made_at)
    return {
        "format": EVIDENCE_FORMAT,
        "schema": current_schema(),
        "made_at": _moment(made_at),
        "made_by": actor.username,
        "execution": {
            "id": str(execution.pk),
            "status": execution.status,
            "requested_by": execution.requested_by.username if execution.requested_by else None,
            "door": execution.door,
            "request_id": execution.request_id,
            "reason": execution.reason,
            "requested_at": _moment(execution.created_at),
            "started_at": _moment(execution.started_at),
            "finished_at": _moment(execution.finished_at),
            "worker": execution.worker,
            "retry_of": str(execution.retry_of_id) if execution.retry_of_id else None,
        },
        "plan": {
            "mode": execution.mode,
            "policy_version": execution.policy_version,
            "risk": version.risk,
            "confirm": version.confirm,
            "approval": version.approval,
            "network": version.network,
            "network_hosts": version.network_hosts,
            "timeout_s": version.timeout_s,
            "memory_bytes": version.memory_bytes,
        },
        "skill": {
            "name": execution.skill.name,
            "title": version.title,
            "version": version.number,
            "kind": version.kind,
            "author": version.author,
            "sha256": version_digest(version),
            "script": script and {"version": script.number, "sha256": script.digest},
        },
        "inputs": dict(masked(version, execution.inputs)),
        "input_files": files,
        "inputs_sha256": execution.inputs_digest,
        "consents": [
            {
                "kind": one.kind,
                "by": one.account.username,
                "in_the_name_of": one.authority.username,
                "door": one.door,
                "at": _moment(one.at),
            }
            for one in execution.consents.select_related("account", "authority")
        ],
        "rejection": execution.rejection,
        "grant": grant
        and {
            "version_sha256": grant.version_digest,
            "inputs_sha256": grant.inputs_digest,
            "policy_version": grant.policy_version,
            "issued_at": _moment(grant.issued_at),
            "expires_at": _moment(grant.expires_at),
            "used_at": _moment(grant.used_at),
        },
        "result": {
            "stop_reason": execution.stop_reason,
            "exit_code": execution.exit_code,
            "summary": execution.summary,
            "error": execution.error,
            "output": execution.output,
            "wall_s": execution.wall_s,
            "cpu_s": execution.cpu_s,
            "peak_memory_bytes": execution.peak_memory_bytes,
        },
        "artifacts": [
            {"name": one.name, "size_bytes": one.size_bytes, "sha256": one.sha256}
            for one in execution.artifacts.all()
        ],
        "log": {
            "text": "".join(chunk.plain for chunk in chunks),
            "left_out_characters": left_out,
            "dropped_bytes": execution.log_bytes_dropped,
            "removed_at": _moment(execution.files_removed_at),
        },
        "proof": [parse(line.removesuffix(b"\n")) for line in lines],
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="microseconds") if moment else None
