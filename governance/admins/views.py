from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import View

from execfabric.core.errors import DomainError
from execfabric.core.selectors import audit_events_visible_to
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView
from tenants.accounts.actors import is_super_admin
from tenants.accounts.models import Account
from tenants.accounts.second_factor.services import reset_second_factor
from tenants.accounts.services import set_password_path
from tenants.accounts.sessions.agents import name_of_agent
from tenants.accounts.sessions.selectors import live_sessions, live_tokens
from tenants.registry.addresses import url_for_tenant
from tenants.registry.selectors import tenants_visible_to

from ..views import PlatformView
from . import selectors, services
from .forms import DoorsForm, InviteForm, TenantAdminForm

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class AdminsView(PlatformView):
    """Base of everything about the accounts of the admin host."""

    permission = selectors.READ

    def account(self, account_id: int) -> Account:
        found = selectors.accounts_visible_to(self.request.actor)
        return get_object_or_404(found, pk=account_id)

    def show_link(self, account: Account, path: str, status: int) -> HttpResponse:
        """Return the page with a link. No redirect: it is known here and never again."""
        response = self.render(
            status=status,
            template_name="admins/account_invited.html",
            account=account,
            is_super_admin=is_super_admin(account),
            link=url_for_tenant(self.request.tenant, path),
        )
        response["Cache-Control"] = "no-store"
        return response


class AccountList(AdminsView):
    template_name = "admins/account_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(
            super_admins=selectors.super_admins_visible_to(request.actor),
            tenant_admins=[
                (account, list(selectors.doors_of(account)))
                for account in selectors.tenant_admins_visible_to(request.actor)
            ],
            is_required=settings.ADMIN_SECOND_FACTOR,
        )


class SuperAdminInvite(AdminsView):
    template_name = "admins/account_invite.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(form=InviteForm(), for_super_admin=True)

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = InviteForm(request.POST)
        if not form.is_valid():
            return self.invalid(form, for_super_admin=True)
        try:
            account = services.invite_super_admin(actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            return self.invalid(form, error=error, for_super_admin=True)
        return self.show_link(account, set_password_path(account), 201)


class TenantAdminInvite(AdminsView):
    template_name = "admins/account_invite.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(form=TenantAdminForm(tenants=tenants_visible_to(request.actor)))

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = TenantAdminForm(request.POST, tenants=tenants_visible_to(request.actor))
        if not form.is_valid():
            return self.invalid(form)
        wanted = {**form.cleaned_data, "tenants": list(form.cleaned_data["tenants"])}
        try:
            account = services.invite_tenant_admin(actor=request.actor, **wanted)
        except DomainError as error:
            return self.invalid(form, error=error)
        return self.show_link(account, set_password_path(account), 201)


class AccountDetail(AdminsView):
    template_name = "admins/account_detail.html"

    def get(self, request: ConsoleRequest, account_id: int) -> HttpResponse:
        account = self.account(account_id)
        return self.page(account)

    def page(self, account: Account, **context: Any) -> HttpResponse:
        actor = self.request.actor
        governs = is_super_admin(account)
        doors = list(selectors.doors_of(account))
        form = DoorsForm(tenants=tenants_visible_to(actor), initial={"tenants": doors})
        about = audit_events_visible_to(actor).filter(
            target_type="accounts.account", target_id=str(account.pk)
        )
        return self.render(
            account=account,
            is_super_admin=governs,
            is_configured=account.username in settings.ADMIN_USERNAMES,
            is_own=actor.user_id == account.pk,
            is_invited=not account.has_usable_password(),
            sessions=[(one, name_of_agent(one.agent)) for one in live_sessions(account)],
            tokens=live_tokens(account).count(),
            doors_form=None if governs else form,
            events=self.latest(about),
            **context,
        )


class AccountAct(AdminsView):
    """Something that is done to one account by a button."""

    done: ClassVar[StrOrPromise] = ""

    def post(self, request: ConsoleRequest, account_id: int) -> HttpResponse:
        account = self.account(account_id)
        answer = self.act(request, account)
        if answer is not None:
            return answer
        messages.success(request, self.done)
        return redirect("admins:account-detail", account.pk)

    def act(self, request: ConsoleRequest, account: Account) -> HttpResponse | None:
        raise NotImplementedError


class AccountDisable(AccountAct):
    done = gettext_lazy("Disabled: all sessions and tokens are over.")

    def act(self, request: ConsoleRequest, account: Account) -> None:
        services.disable_account(
            actor=request.actor, account=account, reason=request.POST.get("reason", "")
        )


class AccountEnable(AccountAct):
    done = gettext_lazy("Enabled: this account can log in again.")

    def act(self, request: ConsoleRequest, account: Account) -> None:
        services.enable_account(actor=request.actor, account=account)


class AccountLink(AccountAct):
    def act(self, request: ConsoleRequest, account: Account) -> HttpResponse:
        path = services.renew_link(actor=request.actor, account=account)
        return self.show_link(account, path, 200)


class SecondFactorReset(AccountAct):
    done = gettext_lazy("The second factor is gone, and all sessions and tokens are over.")

    def act(self, request: ConsoleRequest, account: Account) -> None:
        reset_second_factor(
            actor=request.actor, account=account, reason=request.POST.get("reason", "")
        )


class SessionsEnd(AccountAct):
    done = gettext_lazy("All sessions and tokens of this account are over.")

    def act(self, request: ConsoleRequest, account: Account) -> None:
        services.end_all_of(actor=request.actor, account=account)


class SessionEnd(AdminsView):
    def post(self, request: ConsoleRequest, account_id: int, handle: str) -> HttpResponse:
        account = self.account(account_id)
        services.end_session_of(actor=request.actor, account=account, handle=handle)
        messages.success(request, _("The session is over."))
        return redirect("admins:account-detail", account.pk)


class DoorsChange(AccountAct):
    done = gettext_lazy("Saved. It holds from now on.")

    def act(self, request: ConsoleRequest, account: Account) -> HttpResponse | None:
        form = DoorsForm(request.POST, tenants=tenants_visible_to(request.actor))
        if not form.is_valid():
            messages.error(request, _("Choose at least one tenant, or disable the account."))
            return redirect("admins:account-detail", account.pk)
        services.change_tenant_admin(
            actor=request.actor, account=account, tenants=list(form.cleaned_data["tenants"])
        )
        return None


class Front(View):
    """The bare address of the admin host: leads everybody to what they have here."""

    def get(self, request: ConsoleRequest) -> HttpResponse:
        actor = request.actor
        only_doors = actor.is_authenticated and not actor.roles
        return redirect("entrance" if only_doors else "governance:home")


class Entrance(ConsoleView):
    """All that a whitelisted tenant admin has here: a door into each tenant of the whitelist."""

    template_name = "admins/entrance.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        doors = [
            (tenant, url_for_tenant(tenant, "/login/") if tenant.is_open else "")
            for tenant in selectors.doors_of(request.user)
        ]
        if not doors:
            raise Http404
        return self.render(doors=doors)
