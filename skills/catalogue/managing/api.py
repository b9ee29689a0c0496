from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from skills.catalogue.models import Skill, SkillVersion

from . import grants, selectors, services
from .serializers import (
    BindIn,
    DifferenceOut,
    EditIn,
    GrantsIn,
    GrantsOut,
    InUseIn,
    ManagedSkillOut,
    ReasonIn,
    VersionsOut,
)

TAGS = ["skill management"]
LONGEST_LIST = 100


class _HistoryView(ApiView):
    """About the versions of one skill: for developers and those who manage skills."""

    request: ApiRequest

    def skill(self, name: str) -> Skill:
        skill: Skill = self.find(selectors.skills_with_history(self.request.actor), name=name)
        return skill

    def number(self, name: str) -> int | None:
        """Return a number of the query. Raises ValidationError."""
        given = self.request.query_params.get(name, "")
        if not given:
            return None
        if not given.isascii() or not given.isdecimal() or len(given) > 9:
            raise serializers.ValidationError({name: "Give the number of a version."})
        return int(given)

    def version(self, skill: Skill, number: int) -> SkillVersion:
        version = selectors.versions_of(skill).filter(number=number).first()
        if version is None:
            raise serializers.ValidationError({"version": f"{skill.name} has no version {number}."})
        return version


class _ManagedView(_HistoryView):
    """An act on one skill; who may read of it only is told so by the service."""

    def answer(self, name: str) -> Response:
        return Response(ManagedSkillOut(self.skill(name)).data)


class VersionListView(_HistoryView):
    @extend_schema(
        operation_id="skills_versions",
        tags=TAGS,
        parameters=[
            OpenApiParameter("before", int, description="Only versions below this number."),
            OpenApiParameter("limit", int, description=f"At most {LONGEST_LIST}; default 50."),
        ],
        responses={200: VersionsOut, **error_responses(400, 401, 404)},
    )
    def get(self, request: ApiRequest, name: str) -> Response:
        """List the versions of a skill, the newest first: when, by whom, what changed."""
        skill = self.skill(name)
        limit = min(self.number("limit") or 50, LONGEST_LIST)
        rows = selectors.history_of(skill, before=self.number("before"), limit=limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        answer = {"results": rows, "next_before": rows[-1].version.number if more else None}
        return Response(VersionsOut(answer).data)


class ChangesView(_HistoryView):
    @extend_schema(
        operation_id="skills_changes",
        tags=TAGS,
        parameters=[
            OpenApiParameter("old", int, description="Default: the version before new."),
            OpenApiParameter("new", int, description="Default: the version in use."),
        ],
        responses={200: DifferenceOut, **error_responses(400, 401, 404)},
    )
    def get(self, request: ApiRequest, name: str) -> Response:
        """Return what differs between two versions: description, inputs, packages, files."""
        skill = self.skill(name)
        new = self.number("new") or (skill.version.number if skill.version else 0)
        second = self.version(skill, new)
        old = self.number("old")
        before = selectors.versions_of(skill).filter(number__lt=new)
        first = self.version(skill, old) if old is not None else before.first() or second
        change = selectors.difference(request.actor, first, second, skill)
        return Response(DifferenceOut(change).data)


class BindView(_ManagedView):
    @extend_schema(
        operation_id="skills_bind",
        tags=TAGS,
        request=BindIn,
        responses={200: ManagedSkillOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Put a version in use, once it is verified. Runs that go on finish on theirs."""
        skill = self.skill(name)
        body = self.body(BindIn)
        version = self.version(skill, body.pop("version"))
        services.bind_version(actor=request.actor, skill=skill, version=version, **body)
        return self.answer(name)


class RollBackView(_ManagedView):
    @extend_schema(
        operation_id="skills_roll_back",
        tags=TAGS,
        request=InUseIn,
        responses={200: ManagedSkillOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Put the version that was in use before in use again, once it is verified."""
        skill = self.skill(name)
        services.roll_back(actor=request.actor, skill=skill, **self.body(InUseIn))
        return self.answer(name)


class EnableView(_ManagedView):
    @extend_schema(
        operation_id="skills_enable",
        tags=TAGS,
        request=ReasonIn,
        responses={200: ManagedSkillOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Give a disabled skill back to those it is granted to."""
        skill = self.skill(name)
        services.enable_skill(actor=request.actor, skill=skill, **self.body(ReasonIn))
        return self.answer(name)


class DisableView(_ManagedView):
    @extend_schema(
        operation_id="skills_disable",
        tags=TAGS,
        request=ReasonIn,
        responses={200: ManagedSkillOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Take a skill away from everybody. What is queued does not start; what runs goes on."""
        skill = self.skill(name)
        services.disable_skill(actor=request.actor, skill=skill, **self.body(ReasonIn))
        return self.answer(name)


class EditView(_ManagedView):
    @extend_schema(
        operation_id="skills_edit",
        tags=TAGS,
        request=EditIn,
        responses={200: ManagedSkillOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Change texts, or make rules stricter: a new version on the same script, in use now."""
        skill = self.skill(name)
        services.edit_skill(actor=request.actor, skill=skill, **self.body(EditIn))
        return self.answer(name)


class GrantsView(_ManagedView):
    def skill(self, name: str) -> Skill:
        skill: Skill = self.find(selectors.skills_managed_by(self.request.actor), name=name)
        return skill

    @extend_schema(
        operation_id="skills_grants",
        tags=TAGS,
        responses={200: GrantsOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, name: str) -> Response:
        """Return who may see, run and approve a skill."""
        return self._grants(name)

    @extend_schema(
        operation_id="skills_change_grants",
        tags=TAGS,
        request=GrantsIn,
        responses={200: GrantsOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Give and take rights, all or nothing; it holds at once."""
        skill = self.skill(name)
        body = self.body(GrantsIn)
        for word in ("give", "take"):
            body[word] = [grants.Entitlement(**one) for one in body.get(word, [])]
        services.change_grants(actor=request.actor, skill=skill, **body)
        return self._grants(name)

    def _grants(self, name: str) -> Response:
        held = grants.entitlements_of(self.skill(name))
        shown = [one._asdict() for one in sorted(held)]
        return Response(GrantsOut({"results": shown, "seen": grants.fingerprint(held)}).data)
