from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from execfabric.core.permissions import require
from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from skills.executions.policy import PLATFORM_MINIMUM, Demand, Rules
from tenants.accounts.models import Account, Group

from . import selectors, services
from .inbox import inbox_of
from .models import Delegation
from .rules import rules_in_force

HOUR_S = 3600


class WaitingOut(serializers.Serializer):
    kind = serializers.CharField(help_text="execution, or another thing that can wait.")
    id = serializers.CharField()
    act = serializers.CharField(help_text="What you can do: confirm or approve.")
    title = serializers.CharField()
    risk = serializers.CharField()
    asked_by = serializers.CharField()
    reason = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(help_text="If nobody has decided by then, it does not run.")
    is_overdue = serializers.BooleanField()
    url = serializers.SerializerMethodField(help_text="The page of this.")

    def get_url(self, waiting: Any) -> str:
        return str(self.context["request"].build_absolute_uri(waiting.url))


class InboxOut(serializers.Serializer):
    count = serializers.IntegerField()
    results = WaitingOut(many=True)


class InboxView(ApiView):
    @extend_schema(
        operation_id="inbox", tags=["approvals"], responses={200: InboxOut, **error_responses(401)}
    )
    def get(self, request: ApiRequest) -> Response:
        """List what waits for you to confirm or approve, the oldest first."""
        waiting = inbox_of(request.actor)
        body = {"count": len(waiting), "results": waiting}
        return Response(InboxOut(body, context={"request": request}).data)


class DemandIO(serializers.Serializer):
    confirm = serializers.BooleanField()
    approvals = serializers.IntegerField(min_value=0, max_value=100)


class RulesIn(serializers.Serializer):
    demands = serializers.DictField(child=DemandIO(), help_text="By risk; all of them.")
    expires_after_h = serializers.IntegerField(required=False)
    remind_after_h = serializers.IntegerField(required=False)


class RulesOut(serializers.Serializer):
    version = serializers.CharField(help_text="Identifies the rules in force.")
    demands = serializers.DictField(child=DemandIO())
    platform_minimum = serializers.DictField(child=DemandIO())
    expires_after_h = serializers.IntegerField()
    remind_after_h = serializers.IntegerField()


def _rules_out(rules: Rules) -> Response:
    body = {
        "version": rules.version,
        "demands": dict(rules.demands),
        "platform_minimum": dict(PLATFORM_MINIMUM),
        "expires_after_h": int(rules.expires_after.total_seconds() // HOUR_S),
        "remind_after_h": int(rules.remind_after.total_seconds() // HOUR_S),
    }
    return Response(RulesOut(body).data)


class RulesView(ApiView):
    @extend_schema(
        operation_id="approval_rules_retrieve",
        tags=["approvals"],
        responses={200: RulesOut, **error_responses(401, 403)},
    )
    def get(self, request: ApiRequest) -> Response:
        """Return what this workspace demands for each risk, and the platform's minimum."""
        require(request.actor, "executions.rules.read")
        return _rules_out(rules_in_force())

    @extend_schema(
        operation_id="approval_rules_set",
        tags=["approvals"],
        request=RulesIn,
        responses={200: RulesOut, **error_responses(400, 401, 403)},
    )
    def put(self, request: ApiRequest) -> Response:
        """Tighten what this workspace demands, or go back as far as the platform lets you."""
        body = RulesIn(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = dict(body.validated_data)
        demands = {risk: Demand(**one) for risk, one in wanted.pop("demands").items()}
        services.set_rules(actor=request.actor, demands=demands, **wanted)
        return _rules_out(rules_in_force())


class DelegationIn(serializers.Serializer):
    to_account = serializers.CharField(required=False, max_length=150, help_text="A username.")
    to_group = serializers.CharField(required=False, max_length=60, help_text="Name of a group.")
    ends_at = serializers.DateTimeField()


class DelegationOut(serializers.Serializer):
    id = serializers.IntegerField()
    delegator = serializers.CharField(source="delegator.username")
    to_account = serializers.CharField(source="to_account.username", default=None)
    to_group = serializers.CharField(source="to_group.name", default=None)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()


class DelegationListView(ApiView):
    @extend_schema(
        operation_id="delegations_list",
        tags=["approvals"],
        responses={200: DelegationOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the delegations by you and to you, newest first."""
        return self.page(selectors.delegations_visible_to(request.actor), DelegationOut)

    @extend_schema(
        operation_id="delegations_create",
        tags=["approvals"],
        request=DelegationIn,
        responses={201: DelegationOut, **error_responses(400, 401, 403)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Let an account or a group approve what you may, for a time."""
        body = DelegationIn(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        delegation = services.delegate(
            actor=request.actor,
            to_account=_named(Account, "username", wanted, "to_account"),
            to_group=_named(Group, "name", wanted, "to_group"),
            ends_at=wanted["ends_at"],
        )
        return Response(DelegationOut(delegation).data, status=201)


def _named(model: Any, field: str, wanted: dict[str, Any], name: str) -> Any:
    if not wanted.get(name):
        return None
    found = model.objects.filter(**{f"{field}__iexact": wanted[name]}).first()
    if found is None:
        raise ValidationError({name: "There is none of this name."})
    return found


class DelegationEndView(ApiView):
    @extend_schema(
        operation_id="delegations_end",
        tags=["approvals"],
        request=None,
        responses={200: DelegationOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, delegation_id: int) -> Response:
        """End a delegation now."""
        found: Delegation = self.find(
            selectors.delegations_visible_to(request.actor), pk=delegation_id
        )
        ended = services.end_delegation(actor=request.actor, delegation=found)
        return Response(DelegationOut(ended).data)
