from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest

from .models import Skill
from .samples import samples_of
from .selectors import search_skills, skills_visible_to, version_of


class SkillOut(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField(source="version.title")
    description = serializers.CharField(source="version.description")
    version = serializers.IntegerField(source="version.number")
    risk = serializers.CharField(source="version.risk")
    tags = serializers.ListField(child=serializers.CharField(), source="version.tags")
    requires_confirmation = serializers.BooleanField(source="version.confirm")
    approval = serializers.CharField(source="version.approval")
    withdrawn = serializers.CharField(
        help_text="Why the platform withdrew the version in use; empty when it did not."
    )


class PackageOut(serializers.Serializer):
    name = serializers.CharField()
    version = serializers.CharField()


class EnvironmentOut(serializers.Serializer):
    """The Python of a script and its locked packages."""

    python = serializers.CharField()
    platform = serializers.CharField(source="python_tag")
    packages = PackageOut(many=True)
    lock = serializers.CharField()


class SampleOut(serializers.Serializer):
    path = serializers.CharField(help_text="As a file input's value: sample:<path>.")
    size_bytes = serializers.IntegerField()


class SkillDetailOut(SkillOut):
    input_schema = serializers.JSONField(source="version.input_schema")
    output_schema = serializers.JSONField(source="version.output_schema")
    readme = serializers.CharField(source="version.readme")
    timeout_s = serializers.IntegerField(source="version.timeout_s")
    max_retries = serializers.IntegerField(
        source="version.max_retries",
        help_text="How often in a row a lost run is started again by the platform itself.",
    )
    manual = serializers.BooleanField(source="version.manual")
    ai_callable = serializers.BooleanField(source="version.ai_callable")
    network = serializers.BooleanField(source="version.network")
    network_hosts = serializers.ListField(
        child=serializers.CharField(), source="version.network_hosts"
    )
    examples = serializers.ListField(child=serializers.CharField(), source="version.examples")
    environment = EnvironmentOut(source="version.script_version.environment", allow_null=True)
    """Null where the platform's own Python, without packages, is enough."""
    samples = serializers.SerializerMethodField(help_text="Files to try the skill with.")

    @extend_schema_field(SampleOut(many=True))
    def get_samples(self, skill: Skill) -> list[dict[str, Any]]:
        samples = samples_of(skill.version) if skill.version else ()
        return [dict(SampleOut(sample).data) for sample in samples]


class SkillListView(ApiView):
    """The skills you may see, by name."""

    @extend_schema(
        operation_id="skills_list",
        tags=["skills"],
        parameters=[
            OpenApiParameter(
                "q", str, description="Every word must occur in name, title, text or tags."
            ),
            OpenApiParameter("tag", str),
        ],
        responses={200: SkillOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        skills = search_skills(
            skills_visible_to(request.actor),
            text=request.query_params.get("q", ""),
            tag=request.query_params.get("tag", ""),
        )
        return self.page(skills, SkillOut, ordering="name")


class SkillDetailView(ApiView):
    """One skill with its input schema, which is what an execution's inputs must fit."""

    @extend_schema(
        operation_id="skills_retrieve",
        tags=["skills"],
        parameters=[OpenApiParameter("version", int, description="Default: the bound version.")],
        responses={200: SkillDetailOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, name: str) -> Response:
        skill: Skill = self.find(skills_visible_to(request.actor), name=name)
        wanted = request.query_params.get("version", "")
        if wanted:
            is_number = wanted.isdecimal() and len(wanted) < 10
            version = version_of(skill, int(wanted)) if is_number else None
            if version is None:
                shown = wanted[:20]
                raise serializers.ValidationError({"version": f"{name} has no version {shown}."})
            skill.version = version
        return Response(SkillDetailOut(skill).data)
