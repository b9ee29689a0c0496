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
from skills.catalogue.models import SkillVersion

from .approvals.digests import version_digest
from .inputs import files_of
from .models import Artifact, Execution, RunGrant, StoredFile
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
    lines = proof_of(events_about(actor, execution), made_at)
    return {
        "format": EVIDENCE_FORMAT,
        "schema": current_schema(),
        "made_at": _moment(made_at),
        "made_by": actor.username,
        "execution": _asked_for(execution),
        "plan": _plan(execution),
        "skill": _skill(execution.version),
        "inputs": dict(masked(execution.version, execution.inputs)),
        "input_files": {
            name: [_file(one) for one in some]
            for name, some in files_of(execution.version, execution.inputs).items()
        },
        "inputs_sha256": execution.inputs_digest,
        "consents": _consents(execution),
        "rejection": execution.rejection,
        "grant": _grant(execution),
        "result": _result(execution),
        "artifacts": [_file(one) for one in execution.artifacts.all()],
        "log": _log(execution),
        "proof": [parse(line.removesuffix(b"\n")) for line in lines],
    }


def _asked_for(execution: Execution) -> dict[str, Any]:
    by = execution.requested_by
    return {
        "id": str(execution.pk),
        "status": execution.status,
        "requested_by": by.username if by else None,
        "door": execution.door,
        "request_id": execution.request_id,
        "reason": execution.reason,
        "requested_at": _moment(execution.created_at),
        "started_at": _moment(execution.started_at),
        "finished_at": _moment(execution.finished_at),
        "worker": execution.worker,
        "retry_of": str(execution.retry_of_id) if execution.retry_of_id else None,
    }


def _plan(execution: Execution) -> dict[str, Any]:
    """Return the rules in force when it was asked for, and the limits of its version."""
    version = execution.version
    return {
        "mode": execution.mode,
        "policy_version": execution.policy_version,
        "risk": version.risk,
        "confirm": version.confirm,
        "approval": version.approval,
        "network": version.network,
        "network_hosts": version.network_hosts,
        "timeout_s": version.timeout_s,
        "memory_bytes": version.memory_bytes,
    }


def _skill(version: SkillVersion) -> dict[str, Any]:
    script = version.script_version
    return {
        "name": version.skill.name,
        "title": version.title,
        "version": version.number,
        "kind": version.kind,
        "author": version.author,
        "sha256": version_digest(version),
        "script": script and {"version": script.number, "sha256": script.digest},
    }


def _consents(execution: Execution) -> list[dict[str, Any]]:
    return [
        {
            "kind": one.kind,
            "by": one.account.username,
            "in_the_name_of": one.authority.username,
            "door": one.door,
            "at": _moment(one.at),
        }
        for one in execution.consents.select_related("account", "authority")
    ]


def _grant(execution: Execution) -> dict[str, Any] | None:
    """Return what let it run once; None where nobody had to."""
    grant = RunGrant.objects.filter(execution=execution).first()
    if grant is None:
        return None
    return {
        "version_sha256": grant.version_digest,
        "inputs_sha256": grant.inputs_digest,
        "policy_version": grant.policy_version,
        "issued_at": _moment(grant.issued_at),
        "expires_at": _moment(grant.expires_at),
        "used_at": _moment(grant.used_at),
    }


def _result(execution: Execution) -> dict[str, Any]:
    return {
        "stop_reason": execution.stop_reason,
        "exit_code": execution.exit_code,
        "summary": execution.summary,
        "error": execution.error,
        "output": execution.output,
        "wall_s": execution.wall_s,
        "cpu_s": execution.cpu_s,
        "peak_memory_bytes": execution.peak_memory_bytes,
    }


def _log(execution: Execution) -> dict[str, Any]:
    chunks, left_out = log_end(execution, 0, chars=LOG_CHARS)
    return {
        "text": "".join(chunk.plain for chunk in chunks),
        "left_out_characters": left_out,
        "dropped_bytes": execution.log_bytes_dropped,
        "removed_at": _moment(execution.files_removed_at),
    }


def _file(one: StoredFile | Artifact) -> dict[str, Any]:
    return {"name": one.name, "size_bytes": one.size_bytes, "sha256": one.sha256}


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="microseconds") if moment else None
