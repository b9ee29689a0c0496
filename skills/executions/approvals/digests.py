"""What a grant is bound to, as digests: any byte that differs makes another one."""

from __future__ import annotations

from typing import Any

from skills.catalogue.models import SkillVersion
from skills.executions.inputs import digest_of, files_of
from skills.executions.models import Execution

_LEFT_OUT = frozenset({"id", "script_version_id", "created_at"})


def version_digest(version: SkillVersion) -> str:
    """Return the sha256 of all that version says, its script's files and packages among it."""
    script = version.script_version
    said: dict[str, Any] = {
        field.attname: getattr(version, field.attname)
        for field in version._meta.concrete_fields
        if field.attname not in _LEFT_OUT
    }
    said["script"] = (
        [script.script_id, script.digest, script.runtime, script.entry, script.environment_id]
        if script
        else None
    )
    return digest_of(said)


def inputs_digest(execution: Execution) -> str:
    """Return the sha256 of an execution's inputs and of the files they name."""
    files = {
        name: [[str(one.pk), one.name, one.size_bytes, one.sha256] for one in stored]
        for name, stored in files_of(execution.version, execution.inputs).items()
    }
    return digest_of({"inputs": execution.inputs, "files": files})
