"""The accounts of the admin host: what their pages do, for programs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from tenants.accounts.actors import is_super_admin
from tenants.accounts.models import Account
from tenants.accounts.second_factor.services import reset_second_factor
from tenants.accounts.services import set_password_path
from tenants.accounts.sessions.api import EndedOut
from tenants.registry.addresses import url_for_tenant
from tenants.registry.models import Tenant
from tenants.registry.selectors import tenants_visible_to

from . import selectors, services

TAGS = ["administrators"]
SUPER_ADMIN, TENANT_ADMIN = "super_admin", "tenant_admin"


class AdministratorIn(serializers.Serializer):
    kind = serializers.ChoiceField(choices=[SUPER_ADMIN, TENANT_ADMIN])
    username = serializers.CharField(max_length=150)
    display_name = serializers.CharField(max_length=100, required=False, allow_blank=True)
    email = serializers.EmailField(required=False, allow_blank=True)
    tenants = serializers.ListField(
        child=serializers.CharField(max_length=40),
        required=False,
        max_length=1_000,
        help_text="Names; of a tenant admin, whose doors these are.",
    )


class DoorsIn(serializers.Serializer):
    tenants = serializers.ListField(
        child=serializers.CharField(max_length=40), min_length=1, max_length=1_000
    )


class WhyIn(serializers.Serializer):
    reason = serializers.CharField(max_length=services.LONGEST_REASON)


class AdministratorOut(serializers.Serializer):
    id = serializers.IntegerField()
    kind = serializers.SerializerMethodField()
    username = serializers.CharField()
    display_name = serializers.CharField()
    email = serializers.CharField()
    is_active = serializers.BooleanField()
    is_invited = serializers.SerializerMethodField(help_text="No password was set yet.")
    is_configured = serializers.SerializerMethodField(
        help_text="A super-admin by EXECFABRIC_ADMIN_USERNAMES."
    )
    second_factor_since = serializers.DateTimeField(source="second_factor_at", allow_null=True)
    tenants = serializers.ListField(
        child=serializers.CharField(),
        source="door_names",
        help_text="Doors of a tenant admin, by name.",
    )
    created_at = serializers.DateTimeField()

    @extend_schema_field(serializers.ChoiceField(choices=[SUPER_ADMIN, TENANT_ADMIN]))
    def get_kind(self, account: Account) -> str:
        return SUPER_ADMIN if is_super_admin(account) else TENANT_ADMIN

    def get_is_invited(self, account: Account) -> bool:
        return not account.has_usable_password()

    def get_is_configured(self, account: Account) -> bool:
        return account.username in settings.ADMIN_USERNAMES


class InvitedOut(AdministratorOut):
    set_password_url = serializers.SerializerMethodField(help_text="Works once.")

    def get_set_password_url(self, account: Account) -> str:
        url: str = self.context["set_password_url"]
        return url


class AdministratorApiView(ApiView):
    def account(self, request: ApiRequest, account_id: int) -> Account:
        rows = selectors.with_doors(selectors.accounts_visible_to(request.actor))
        found: Account = self.find(rows, pk=account_id)
        return found

    def shown(self, request: ApiRequest, account: Account) -> Response:
        """Answer with an account as it is now."""
        return Response(AdministratorOut(self.account(request, account.pk)).data)

    def tenants(self, request: ApiRequest, names: Collection[str]) -> list[Tenant]:
        """Return the tenants of these names. Raises ValidationError for one that is not there."""
        found = list(tenants_visible_to(request.actor).filter(name__in=set(names)))
        if lacking := sorted(set(names) - {tenant.name for tenant in found}):
            raise ValidationError({"tenants": f"There is no tenant {', '.join(lacking)}."})
        return found

    def invited(self, request: Any, account: Account, path: str, status: int) -> Response:
        url = url_for_tenant(request._request.tenant, path)
        shown = InvitedOut(self.account(request, account.pk), context={"set_password_url": url})
        return Response(shown.data, status=status, headers={"Cache-Control": "no-store"})


class AdministratorListView(AdministratorApiView):
    @extend_schema(
        operation_id="administrators_list",
        tags=TAGS,
        responses={200: AdministratorOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the accounts of the admin host, by username."""
        rows = selectors.with_doors(selectors.accounts_visible_to(request.actor))
        return self.page(rows, AdministratorOut, ordering="username")

    @extend_schema(
        operation_id="administrators_invite",
        tags=TAGS,
        request=AdministratorIn,
        responses={201: InvitedOut, **error_responses(400, 401, 403, 409)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Create a super-admin, or put a tenant admin on the whitelist."""
        wanted = self.body(AdministratorIn)
        kind, names = wanted.pop("kind"), wanted.pop("tenants", [])
        if kind == SUPER_ADMIN:
            if names:
                raise ValidationError({"tenants": "A super-admin needs no whitelist."})
            account = services.invite_super_admin(actor=request.actor, **wanted)
        else:
            tenants = self.tenants(request, names)
            account = services.invite_tenant_admin(actor=request.actor, tenants=tenants, **wanted)
        return self.invited(request, account, set_password_path(account), 201)


class AdministratorDetailView(AdministratorApiView):
    @extend_schema(
        operation_id="administrators_retrieve",
        tags=TAGS,
        responses={200: AdministratorOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, account_id: int) -> Response:
        """Return one account of the admin host."""
        return Response(AdministratorOut(self.account(request, account_id)).data)


class AdministratorDisableView(AdministratorApiView):
    @extend_schema(
        operation_id="administrators_disable",
        tags=TAGS,
        request=WhyIn,
        responses={200: AdministratorOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, account_id: int) -> Response:
        """Let an account do nothing any more; its sessions and tokens are over."""
        account = self.account(request, account_id)
        reason = self.body(WhyIn)["reason"]
        services.disable_account(actor=request.actor, account=account, reason=reason)
        return self.shown(request, account)


class AdministratorEnableView(AdministratorApiView):
    @extend_schema(
        operation_id="administrators_enable",
        tags=TAGS,
        request=None,
        responses={200: AdministratorOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, account_id: int) -> Response:
        """Let a disabled account log in again."""
        account = self.account(request, account_id)
        services.enable_account(actor=request.actor, account=account)
        return self.shown(request, account)


class AdministratorLinkView(AdministratorApiView):
    @extend_schema(
        operation_id="administrators_renew_link",
        tags=TAGS,
        request=None,
        responses={200: InvitedOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, account_id: int) -> Response:
        """Make another set-password link, for an invitation that ran out."""
        account = self.account(request, account_id)
        path = services.renew_link(actor=request.actor, account=account)
        return self.invited(request, account, path, 200)


class AdministratorDoorsView(AdministratorApiView):
    @extend_schema(
        operation_id="administrators_set_tenants",
        tags=TAGS,
        request=DoorsIn,
        responses={200: AdministratorOut, **error_responses(400, 401, 403, 404)},
    )
    def put(self, request: ApiRequest, account_id: int) -> Response:
        """Say which tenants a tenant admin is on the whitelist of."""
        account = self.account(request, account_id)
        tenants = self.tenants(request, self.body(DoorsIn)["tenants"])
        services.change_tenant_admin(actor=request.actor, account=account, tenants=tenants)
        return self.shown(request, account)


class AdministratorSessionsView(AdministratorApiView):
    @extend_schema(
        operation_id="administrators_end_sessions",
        tags=TAGS,
        responses={200: EndedOut, **error_responses(401, 403, 404)},
    )
    def delete(self, request: ApiRequest, account_id: int) -> Response:
        """End all sessions and tokens of an account."""
        account = self.account(request, account_id)
        ended = services.end_all_of(actor=request.actor, account=account)
        return Response(EndedOut({"ended": ended}).data)


class AdministratorSecondFactorView(AdministratorApiView):
    @extend_schema(
        operation_id="administrators_reset_second_factor",
        tags=TAGS,
        request=WhyIn,
        responses={200: AdministratorOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, account_id: int) -> Response:
        """Take the second factor of an account away, which lost it."""
        account = self.account(request, account_id)
        reason = self.body(WhyIn)["reason"]
        reset_second_factor(actor=request.actor, account=account, reason=reason)
        return self.shown(request, account)
