"""The submissions API's words, in and out. Output fields are a contract."""

from __future__ import annotations

import json
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from executors.manifest.model import SLUG_LENGTH

from ..models import Submission
from ..states import SubmissionStatus
from .selectors import publication_of, remarks_on, verdicts_on
from .services import LONGEST_TEXT


class RevisionIn(serializers.Serializer):
    bundle = serializers.FileField(
        max_length=1000, help_text="The script folder as zip or tar.gz, 50 MiB at most."
    )
    scenario = serializers.CharField(
        max_length=LONGEST_TEXT, help_text="What problem it solves, and who will use it."
    )
    ai_callable = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Default: what the manifest says."
    )
    manual = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Default: what the manifest says."
    )
    confirm = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Default: what the manifest says."
    )
    note = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=LONGEST_TEXT
    )
    manifest = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        help_text="JSON with keys of skill.toml to change, such as "
        '{"skill": {"risk": "high"}, "inputs": {"orders": {"title": "Orders"}}}.',
    )

    def validate_manifest(self, value: str) -> dict[str, Any]:
        try:
            changes = json.loads(value or "{}")
        except (ValueError, RecursionError):
            raise serializers.ValidationError("It is not valid JSON.") from None
        if not isinstance(changes, dict):
            raise serializers.ValidationError("Send an object of tables.")
        return changes


class SubmissionIn(RevisionIn):
    name = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=SLUG_LENGTH,
        help_text="Name of the skill. Default: what the manifest or the README says.",
    )


class RemarkIn(serializers.Serializer):
    text = serializers.CharField(max_length=LONGEST_TEXT)


class SubmissionOut(serializers.Serializer):
    id = serializers.UUIDField()
    skill = serializers.CharField(source="skill_name")
    status = serializers.ChoiceField(choices=SubmissionStatus.choices)
    submitted_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    url = serializers.SerializerMethodField(help_text="The page of this submission.")

    def get_url(self, submission: Submission) -> str:
        path = reverse("submissions:submission-detail", args=[submission.pk])
        return str(self.context["request"].build_absolute_uri(path))


class CheckOut(serializers.Serializer):
    check = serializers.CharField()
    level = serializers.ChoiceField(choices=["pass", "warn", "block"])
    title = serializers.CharField()
    details = serializers.CharField()
    facts = serializers.JSONField(default=dict)


class RevisionOut(serializers.Serializer):
    number = serializers.IntegerField()
    digest = serializers.CharField(help_text="sha256 of the files; verdicts are about it.")
    size_bytes = serializers.IntegerField()
    manifest = serializers.JSONField()
    scenario = serializers.CharField()
    ai_callable = serializers.BooleanField()
    manual = serializers.BooleanField()
    confirm = serializers.BooleanField()
    note = serializers.CharField()
    submitted_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    checks = CheckOut(many=True)
    trial = serializers.JSONField(help_text="{} before it ran; else status, summary, log, …")


class RemarkOut(serializers.Serializer):
    revision = serializers.IntegerField(source="revision.number")
    author = serializers.CharField()
    is_reviewer = serializers.BooleanField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class VerdictOut(serializers.Serializer):
    revision = serializers.IntegerField(source="revision.number")
    digest = serializers.CharField()
    verdict = serializers.CharField()
    reason = serializers.CharField()
    tightened = serializers.JSONField(help_text="What the reviewer set instead.")
    reviewer = serializers.CharField()
    created_at = serializers.DateTimeField()


class StepOut(serializers.Serializer):
    step = serializers.CharField()
    status = serializers.CharField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class SubmissionDetailOut(SubmissionOut):
    revisions = RevisionOut(many=True, source="revisions.all")
    remarks = serializers.SerializerMethodField()
    verdicts = serializers.SerializerMethodField()
    steps = serializers.SerializerMethodField()

    @extend_schema_field(RemarkOut(many=True))
    def get_remarks(self, submission: Submission) -> Any:
        return RemarkOut(remarks_on(submission), many=True).data

    @extend_schema_field(VerdictOut(many=True))
    def get_verdicts(self, submission: Submission) -> Any:
        return VerdictOut(verdicts_on(submission), many=True).data

    @extend_schema_field(StepOut(many=True))
    def get_steps(self, submission: Submission) -> Any:
        return StepOut(publication_of(submission), many=True).data
