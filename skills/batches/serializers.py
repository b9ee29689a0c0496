"""The batches API's words, in and out. Output fields are a contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from skills.executions import policy
from skills.executions.approvals.rules import rules_in_force
from skills.executions.presentation import masked
from skills.executions.serializers import ApprovalsOut

from .approving import approvals_standing
from .checking import MOST_ROWS
from .models import Batch, BatchRow
from .presentation import state_of
from .states import BatchStatus, RowStatus

ERRORS_SHOWN = 20
"""Rows with errors that come along with a batch; GET …/rows?status=invalid has all."""


def _object_of(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise serializers.ValidationError("Send an object of values by input name.")
    return value


class MappingIn(serializers.Serializer):
    mapping = serializers.JSONField(
        default=dict,
        help_text="Input name to name of a column, where the names differ; null for no column.",
    )
    inputs = serializers.JSONField(
        default=dict, help_text="Values that are the same for each row, by input name."
    )

    def validate_mapping(self, value: Any) -> dict[str, Any]:
        return _object_of(value)

    def validate_inputs(self, value: Any) -> dict[str, Any]:
        return _object_of(value)


class BatchIn(MappingIn):
    skill = serializers.SlugField(max_length=60)
    file = serializers.UUIDField(
        required=False, help_text="Id of an uploaded CSV, XLSX or JSONL file of rows."
    )
    files = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        max_length=MOST_ROWS,
        help_text="Ids of uploaded files, of which each becomes one run.",
    )


class StartIn(serializers.Serializer):
    skip_invalid = serializers.BooleanField(
        default=False, help_text="Leave out rows with errors; else a batch with errors is refused."
    )


class RowErrorOut(serializers.Serializer):
    row = serializers.IntegerField(source="number")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(), help_text='By input name; "row" for the row as a whole.'
    )


class CountsOut(serializers.Serializer):
    total = serializers.IntegerField(source="total_rows")
    invalid = serializers.IntegerField(source="invalid_rows")
    waiting = serializers.IntegerField(source="waiting_rows")
    sent = serializers.IntegerField(
        source="sent_rows", help_text="Queued or running; not over yet."
    )
    succeeded = serializers.IntegerField(source="succeeded_rows")
    failed = serializers.IntegerField(source="failed_rows")
    cancelled = serializers.IntegerField(source="cancelled_rows")


class BatchSummaryOut(serializers.Serializer):
    id = serializers.UUIDField()
    skill = serializers.CharField(source="skill.name")
    title = serializers.CharField(source="version.title")
    version = serializers.IntegerField(source="version.number")
    risk = serializers.CharField(source="version.risk")
    name = serializers.CharField(help_text="Of the file, or how many files.")
    kind = serializers.CharField(help_text="rows or files")
    status = serializers.CharField()
    is_final = serializers.BooleanField()
    requires_confirmation = serializers.BooleanField(
        source="awaits_confirmation", help_text="It waits for POST …/confirm."
    )
    requested_by = serializers.CharField(source="requested_by.username")
    counts = CountsOut(source="*")
    fraction = serializers.FloatField(help_text="Part of the rows that is over, 0 to 1.")
    held_because = serializers.CharField(help_text="Why the platform paused it, if it did.")
    rejection = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    request_id = serializers.CharField()
    url = serializers.SerializerMethodField(help_text="The page of this batch.")

    def get_url(self, batch: Batch) -> str:
        path = reverse("batches:batch-detail", args=[batch.pk])
        request = self.context.get("request")
        return str(request.build_absolute_uri(path)) if request else path


class BatchOut(BatchSummaryOut):
    columns = serializers.ListField(child=serializers.CharField())
    mapping = serializers.DictField(child=serializers.CharField())
    inputs = serializers.SerializerMethodField(
        help_text="What is the same for each row. Secrets are hidden."
    )
    approvals = serializers.SerializerMethodField(
        help_text="How many are given and needed, while it waits for them."
    )
    unused_columns = serializers.SerializerMethodField()
    errors = serializers.SerializerMethodField(  # type: ignore[assignment]
        help_text=f"The first {ERRORS_SHOWN} rows with errors; counts.invalid says how many."
    )

    @extend_schema_field(serializers.DictField())
    def get_inputs(self, batch: Batch) -> Mapping[str, Any]:
        return masked(batch.version, batch.inputs)

    @extend_schema_field(ApprovalsOut(allow_null=True))
    def get_approvals(self, batch: Batch) -> dict[str, int] | None:
        if batch.status != BatchStatus.AWAITING_APPROVAL:
            return None
        demand = policy.decide(batch.version, rules_in_force()).demand
        return {
            "given": len(approvals_standing(batch, now=timezone.now())),
            "needed": demand.approvals,
        }

    def get_unused_columns(self, batch: Batch) -> list[str]:
        used = set(batch.mapping.values())
        return [column for column in batch.columns if column not in used]

    @extend_schema_field(RowErrorOut(many=True))
    def get_errors(self, batch: Batch) -> list[dict[str, Any]]:
        if not batch.invalid_rows:
            return []
        wrong = batch.rows.filter(status=RowStatus.INVALID).order_by("number")[:ERRORS_SHOWN]
        return list(RowErrorOut(wrong, many=True).data)


class BatchRowOut(serializers.Serializer):
    number = serializers.IntegerField()
    status = serializers.SerializerMethodField(
        help_text="invalid, waiting, or the status of the execution."
    )
    inputs = serializers.SerializerMethodField(help_text="Secrets are hidden.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(), allow_null=True
    )
    execution = serializers.UUIDField(source="execution_id", allow_null=True)
    output = serializers.JSONField(source="execution.output", default=None)
    summary = serializers.CharField(source="execution.summary", default="")
    error = serializers.CharField(source="execution.error", default="")

    @extend_schema_field(serializers.DictField())
    def get_inputs(self, row: BatchRow) -> Mapping[str, Any]:
        return masked(row.batch.version, row.inputs)

    def get_status(self, row: BatchRow) -> str:
        return state_of(row).value
