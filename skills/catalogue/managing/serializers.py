from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from skills.catalogue.differences import Difference
from skills.catalogue.models import Maintainer, Right

from .grants import Kind
from .selectors import HistoryRow
from .services import LONGEST_REASON


class VersionOut(serializers.Serializer):
    number = serializers.IntegerField(source="version.number")
    in_use = serializers.BooleanField(source="is_in_use")
    title = serializers.CharField(source="version.title")
    created_at = serializers.DateTimeField(source="version.created_at")
    author = serializers.CharField(source="version.author", help_text="Empty where not known.")
    note = serializers.CharField(source="version.note")
    based_on = serializers.IntegerField(
        source="version.based_on.number",
        default=None,
        allow_null=True,
        help_text="The version it was edited from; null for one that came with its script.",
    )
    script_digest = serializers.CharField(source="version.script_version.digest", default="")
    withdrawn = serializers.CharField(
        help_text="Why the platform withdrew it: nobody starts it. Empty where it did not."
    )
    published = serializers.BooleanField(
        source="is_published",
        help_text="False for one that is only registered: it cannot be put in use.",
    )
    changed = serializers.SerializerMethodField(
        help_text="What differs from the version before, in a word each."
    )

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_changed(self, row: HistoryRow) -> list[str]:
        return [str(word) for word in row.change.summary] if row.change else []


class VersionsOut(serializers.Serializer):
    results = VersionOut(many=True)
    next_before = serializers.IntegerField(
        allow_null=True, help_text="As before=, this continues the list; null at its end."
    )


class FieldChangeOut(serializers.Serializer):
    name = serializers.CharField()
    old = serializers.JSONField(allow_null=True)
    new = serializers.JSONField(allow_null=True)
    is_rule = serializers.BooleanField(help_text="Whether it decides what a run may do.")


class ParameterChangeOut(serializers.Serializer):
    name = serializers.CharField()
    what = serializers.ChoiceField(["added", "removed", "changed"])
    fields = FieldChangeOut(many=True)  # type: ignore[assignment]  # the contract's word for it


class PackageChangeOut(serializers.Serializer):
    name = serializers.CharField()
    old = serializers.CharField(help_text="Empty where it was not there.")
    new = serializers.CharField()


class FileChangeOut(serializers.Serializer):
    path = serializers.CharField()
    what = serializers.ChoiceField(["added", "removed", "changed", "mode"])
    diff = serializers.CharField(help_text="Unified; where it is cut or missing, note says why.")
    note = serializers.CharField()


class DifferenceOut(serializers.Serializer):
    old = serializers.IntegerField(source="old.number")
    new = serializers.IntegerField(source="new.number")
    summary = serializers.ListField(child=serializers.CharField())
    description = FieldChangeOut(many=True, source="fields")
    inputs = ParameterChangeOut(many=True)
    outputs = ParameterChangeOut(many=True)
    python = serializers.ListField(child=serializers.CharField(), allow_null=True)
    packages = PackageChangeOut(many=True)
    code_differs = serializers.BooleanField()
    files = FileChangeOut(
        many=True, allow_null=True, help_text="Null for who may not see the code."
    )

    def to_representation(self, instance: Difference) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        shown["summary"] = [str(word) for word in instance.summary]
        return shown


class ManagedSkillOut(serializers.Serializer):
    """How a skill stands, for who manages it."""

    name = serializers.CharField()
    enabled = serializers.BooleanField(source="is_enabled")
    disabled_reason = serializers.CharField()
    version = serializers.IntegerField(source="version.number", allow_null=True, default=None)
    pinned = serializers.BooleanField(source="is_pinned")
    maintainer = serializers.ChoiceField(Maintainer.choices)


class ReasonIn(serializers.Serializer):
    reason = serializers.CharField(max_length=LONGEST_REASON)


class InUseIn(ReasonIn):
    expected = serializers.IntegerField(
        required=False,
        min_value=1,
        help_text="Number of the version you believe to be in use; another one is a conflict.",
    )


class BindIn(InUseIn):
    version = serializers.IntegerField(min_value=1)
    pin = serializers.BooleanField(
        default=False, help_text="Keep it in use when a newer one is published."
    )


class EditIn(InUseIn):
    """What is left out stays. Rules can only become stricter; everything else goes to review."""

    changes = serializers.DictField(
        help_text=(
            "title, description, tags, examples, inputs ({name: {title, description, examples}}), "
            "confirm (true), approval (four_eyes), ai_callable (false), manual (false)."
        )
    )


class EntitlementOut(serializers.Serializer):
    kind = serializers.ChoiceField([kind.value for kind in Kind])
    who = serializers.CharField(
        max_length=150, help_text="The role, the group's name, or the username."
    )
    right = serializers.ChoiceField(Right.choices)


class GrantsOut(serializers.Serializer):
    results = EntitlementOut(many=True)
    seen = serializers.CharField(help_text="Send it back with a change to be told of others'.")


class GrantsIn(ReasonIn):
    give = EntitlementOut(many=True, required=False)
    take = EntitlementOut(many=True, required=False)
    seen = serializers.CharField(required=False, max_length=100, default="", allow_blank=True)
