"""The executions API's words, in and out. Output fields are a contract."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.urls import get_urlconf, reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from execfabric.web.api.serializers import KeptFieldsSerializer

from . import policy
from .approvals.rules import rules_in_force
from .approvals.standing import demand_met
from .files import UNUSED_FOR
from .models import Artifact, Execution, StoredFile
from .presentation import masked
from .selectors import files_kept_until
from .services import LONGEST_REASON
from .states import Status

LARGEST_NUMBER = 2**31 - 1
"""Of a version, as the database stores it."""


class ExecutionIn(KeptFieldsSerializer):
    skill = serializers.SlugField(max_length=60)
    inputs = serializers.JSONField(
        default=dict,
        help_text="Values by input name; a file input is the id of an uploaded file, "
        "or sample:<path> of a sample of the skill.",
    )
    version = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_NUMBER,
        help_text="Default: the bound version.",
    )
    reason = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=LONGEST_REASON,
        help_text="Why you ask for it, for who must approve it.",
    )

    def validate_inputs(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise serializers.ValidationError("Send an object of values by input name.")
        return value


def plainly_valid(data: Any) -> dict[str, Any] | None:
    """Return what ExecutionIn makes of data where that is plain to see, as it nearly always is."""
    if type(data) is not dict or data.keys() != _PLAIN_KEYS:
        return None
    skill, inputs = data["skill"], data["inputs"]
    if not (type(skill) is str and _PLAIN_SKILL.fullmatch(skill) and type(inputs) is dict):
        return None
    # Not a float: there are some that JSON can say and PostgreSQL cannot store.
    if not _PLAIN_TYPES.issuperset(map(type, inputs.values())):
        return None
    return {"skill": skill, "inputs": inputs, "reason": ""}


_PLAIN_KEYS = {"skill", "inputs"}
_PLAIN_SKILL = re.compile(r"[-a-zA-Z0-9_]{1,60}")
_PLAIN_TYPES = {str, int, bool, type(None)}


class RejectIn(serializers.Serializer):
    reason = serializers.CharField(max_length=2000)


class ProgressOut(serializers.Serializer):
    fraction = serializers.FloatField(source="progress_fraction")
    message = serializers.CharField(source="progress_message")


class ApprovalsOut(serializers.Serializer):
    given = serializers.IntegerField()
    needed = serializers.IntegerField()


class ExecutionOut(serializers.Serializer):
    id = serializers.UUIDField()
    skill = serializers.CharField(source="skill.name")
    title = serializers.CharField(source="version.title")
    version = serializers.IntegerField(source="version.number")
    status = serializers.CharField()
    is_final = serializers.BooleanField()
    requires_confirmation = serializers.BooleanField(
        source="awaits_confirmation", help_text="It waits for POST …/confirm."
    )
    requested_by = serializers.CharField(source="requested_by.username", default=None)
    reason = serializers.CharField(help_text="Why it was asked for, for who approves it.")
    approvals = serializers.SerializerMethodField(
        help_text="How many are given and needed, while it waits for them."
    )
    retry_of = serializers.UUIDField(
        source="retry_of_id", allow_null=True, help_text="The execution it was asked for again."
    )
    retried_as = serializers.UUIDField(
        source="retried_as_id",
        allow_null=True,
        help_text="Of a lost one: what the platform itself has started in its place.",
    )
    inputs = serializers.JSONField(help_text="Secrets are hidden.")
    output = serializers.JSONField()
    summary = serializers.CharField()
    error = serializers.CharField()
    rejection = serializers.CharField()
    stop_reason = serializers.CharField()
    exit_code = serializers.IntegerField(allow_null=True)
    progress = serializers.SerializerMethodField()
    skipped_artifacts = serializers.ListField(child=serializers.CharField())
    log_bytes_dropped = serializers.IntegerField()
    wall_s = serializers.FloatField(allow_null=True)
    cpu_s = serializers.FloatField(allow_null=True)
    peak_memory_bytes = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    files_kept_until = serializers.SerializerMethodField(
        help_text="Artifacts, input files and log may be removed from then on."
    )
    files_removed_at = serializers.DateTimeField(allow_null=True)
    request_id = serializers.CharField()
    url = serializers.SerializerMethodField(help_text="The page of this execution.")

    @extend_schema_field(ApprovalsOut(allow_null=True))
    def get_approvals(self, execution: Execution) -> dict[str, int] | None:
        if execution.status != Status.AWAITING_APPROVAL:
            return None
        demand = policy.decide(execution.version, rules_in_force()).demand
        given = demand_met(execution, now=timezone.now()).approvals
        return {"given": given, "needed": demand.approvals}

    @extend_schema_field(ProgressOut(allow_null=True))
    def get_progress(self, execution: Execution) -> dict[str, Any] | None:
        if execution.progress_fraction is None:
            return None
        return {"fraction": execution.progress_fraction, "message": execution.progress_message}

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_files_kept_until(self, execution: Execution) -> str | None:
        return _written(files_kept_until(execution))

    def get_url(self, execution: Execution) -> str:
        return f"{self._list_url}{execution.pk}/"

    @functools.cached_property
    def _list_url(self) -> str:
        path = _list_path(get_urlconf())
        request = self.context.get("request")
        return f"{request.scheme}://{request.get_host()}{path}" if request else path

    def to_representation(self, execution: Execution) -> dict[str, Any]:
        """Say the same as the fields above would, in a tenth of their time: every run waits."""
        said = {name: read(execution) for name, read in _READ.items()}
        said["requested_by"] = requester.username if (requester := execution.requested_by) else None
        said["approvals"] = self.get_approvals(execution)
        said["inputs"] = masked(execution.version, execution.inputs)
        said["progress"] = self.get_progress(execution)
        said["files_kept_until"] = self.get_files_kept_until(execution)
        said["url"] = self.get_url(execution)
        return said


@functools.cache
def _list_path(_urlconf: str | None) -> str:
    """Return the path of the page of all executions; those of each one lie below it."""
    return reverse("executions:execution-list")


def _moment(name: str) -> Callable[[Execution], str | None]:
    def read(execution: Execution) -> str | None:
        return _written(getattr(execution, name))

    return read


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


_READ: dict[str, Callable[[Execution], Any]] = {
    name: _moment(name)
    if isinstance(field, serializers.DateTimeField)
    else operator.attrgetter(field.source or name)
    for name, field in ExecutionOut().fields.items()
    if not isinstance(field, serializers.SerializerMethodField)
}
"""How each plain field is read off an execution, in the order of the contract."""


class LogChunkOut(serializers.Serializer):
    seq = serializers.IntegerField(help_text="Ascending; some may have the same.")
    stream = serializers.CharField(
        help_text="stdout, stderr, or notice: a line of the platform about what is left out."
    )
    text = serializers.CharField(trim_whitespace=False)
    at = serializers.DateTimeField()


class LogOut(serializers.Serializer):
    chunks = LogChunkOut(many=True)
    cursor = serializers.IntegerField(help_text="Send as ?after= to read on.")
    final = serializers.BooleanField(help_text="Nothing will follow.")


class ArtifactOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    media_type = serializers.CharField()
    url = serializers.SerializerMethodField(help_text="Its content, for who sends a token.")

    def get_url(self, artifact: Artifact) -> str:
        request = self.context["request"]
        return str(request.build_absolute_uri(f"/api/v1/artifacts/{artifact.pk}/content"))


class FileIn(serializers.Serializer):
    file = serializers.FileField(allow_empty_file=True, max_length=1000)


class FileOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    expires_at = serializers.SerializerMethodField(
        help_text="It is removed then unless an execution was given it."
    )

    def get_expires_at(self, file: StoredFile) -> datetime:
        return file.created_at + UNUSED_FOR
