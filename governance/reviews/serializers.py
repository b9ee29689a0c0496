from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from skills.catalogue.models import Approval, Risk, Visibility
from skills.hot_update.models import Revision, Submission
from skills.hot_update.reviewing.locks import packages_digest, shown_lock
from skills.hot_update.reviewing.rules import TIGHTENABLE, rules_in_force
from skills.hot_update.reviewing.selectors import latest_revision, remarks_on
from skills.hot_update.reviewing.services import LONGEST_TEXT
from skills.hot_update.states import SubmissionStatus


class SubmissionOut(serializers.Serializer):
    id = serializers.UUIDField()
    tenant = serializers.CharField(source="tenant.name")
    skill = serializers.CharField(source="skill_name")
    status = serializers.ChoiceField(choices=SubmissionStatus.choices)
    risk = serializers.CharField(help_text="As it was submitted.")
    revision = serializers.IntegerField(source="revision_number")
    submitted_by = serializers.CharField(source="sent_by")
    submitted_at = serializers.DateTimeField(source="sent_at")
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()


class RulesIO(serializers.Serializer):
    """Rules of the skill. Each can be left out; none can be looser than it is."""

    risk = serializers.ChoiceField(choices=Risk.choices, required=False)
    confirm = serializers.BooleanField(required=False)
    approval = serializers.ChoiceField(choices=Approval.choices, required=False)
    visibility = serializers.ChoiceField(
        choices=Visibility.choices,
        required=False,
        help_text="Who has rights on the skill when it is new; an update leaves them as they are.",
    )
    ai_callable = serializers.BooleanField(required=False)
    manual = serializers.BooleanField(required=False)
    network = serializers.BooleanField(required=False)
    network_hosts = serializers.ListField(
        child=serializers.CharField(max_length=300), max_length=50, required=False
    )
    timeout_s = serializers.IntegerField(min_value=1, max_value=86_400, required=False)
    memory_mb = serializers.IntegerField(min_value=32, max_value=65_536, required=False)
    concurrency = serializers.IntegerField(
        min_value=1, max_value=10_000, required=False, allow_null=True
    )


class ShownIn(serializers.Serializer):
    """What the verdict is about; anything else that lies there now is a conflict."""

    revision = serializers.UUIDField(help_text="Id of the revision that was looked at.")
    digest = serializers.CharField(max_length=64, help_text="Of the files that were looked at.")


class ApproveIn(ShownIn):
    packages = serializers.CharField(
        max_length=64, allow_blank=True, help_text="Digest of the packages that were looked at."
    )
    rules = RulesIO(required=False)
    reason = serializers.CharField(max_length=LONGEST_TEXT, required=False, allow_blank=True)


class RejectIn(ShownIn):
    reason = serializers.CharField(max_length=LONGEST_TEXT)


class RemarkIn(serializers.Serializer):
    text = serializers.CharField(max_length=LONGEST_TEXT)


class WithdrawIn(serializers.Serializer):
    skill = serializers.CharField(max_length=60, help_text="Name of a skill of the tenant.")
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    reason = serializers.CharField(max_length=2000, help_text="Shown to who wants to run it.")


class RemarkOut(serializers.Serializer):
    author = serializers.CharField()
    is_reviewer = serializers.BooleanField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class ReviewOut(serializers.Serializer):
    reviewer = serializers.CharField()
    verdict = serializers.CharField()
    reason = serializers.CharField()
    tightened = serializers.DictField()
    digest = serializers.CharField()
    packages = serializers.CharField(help_text="Digest of the packages that were looked at.")
    created_at = serializers.DateTimeField()


class StepOut(serializers.Serializer):
    step = serializers.CharField()
    status = serializers.CharField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    log = serializers.CharField()
    report = serializers.DictField()


class LockOut(serializers.Serializer):
    python = serializers.CharField(required=False)
    text = serializers.CharField(required=False)
    problem = serializers.CharField(required=False)


class RevisionOut(serializers.Serializer):
    id = serializers.UUIDField()
    number = serializers.IntegerField()
    digest = serializers.CharField()
    size_bytes = serializers.IntegerField()
    submitted_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    scenario = serializers.CharField()
    note = serializers.CharField()
    manifest = serializers.DictField()
    checks = serializers.ListField(child=serializers.DictField())
    trial = serializers.DictField()
    lock = serializers.SerializerMethodField(
        help_text="The packages that would be installed; null until they are locked."
    )
    packages = serializers.SerializerMethodField(
        help_text="Digest of that lock, which an approval names; empty where it needs no packages."
    )
    rules = serializers.SerializerMethodField(help_text="In force, tightened ones included.")
    reviews = ReviewOut(many=True)
    steps = StepOut(many=True)

    @extend_schema_field(LockOut(allow_null=True))
    def get_lock(self, revision: Revision) -> Any:
        lock = shown_lock(revision)
        if lock is None:
            return None
        return {key: lock[key] for key in ("python", "text", "problem") if key in lock}

    def get_packages(self, revision: Revision) -> str:
        return packages_digest(shown_lock(revision))

    @extend_schema_field(RulesIO)
    def get_rules(self, revision: Revision) -> Any:
        rules = rules_in_force(revision)
        return {key: rules[key] for key in TIGHTENABLE}


class SubmissionDetailOut(SubmissionOut):
    latest = serializers.SerializerMethodField(help_text="The revision a verdict is about.")
    remarks = serializers.SerializerMethodField()

    @extend_schema_field(RevisionOut)
    def get_latest(self, submission: Submission) -> Any:
        return RevisionOut(latest_revision(submission)).data

    @extend_schema_field(RemarkOut(many=True))
    def get_remarks(self, submission: Submission) -> Any:
        return RemarkOut(remarks_on(submission), many=True).data


class PlaceOut(serializers.Serializer):
    tenant = serializers.CharField()
    skill = serializers.CharField()
    version = serializers.IntegerField()
    was_in_use = serializers.BooleanField()
    ended = serializers.IntegerField(help_text="Executions it kept from running.")


class RecallOut(serializers.Serializer):
    digest = serializers.CharField()
    reason = serializers.CharField()
    recalled_by = serializers.CharField()
    recalled_at = serializers.DateTimeField()
    places = PlaceOut(many=True)
