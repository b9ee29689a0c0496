from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views import View

from execfabric.core.actor import Door
from execfabric.core.errors import DomainError, InvalidInput
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from . import services
from .actors import lacks_second_factor
from .forms import CodeForm, LoginForm, SetPasswordForm
from .login import Attempt, prove, prove_code
from .models import Account
from .second_factor.selectors import unused_recovery_codes
from .second_factor.services import Factor
from .sessions.opening import (
    begin_session,
    keep_session,
    remember_password,
    remembered_account,
)


class Login(View):
    """The login page of a host; which page follows is up to the URL set it stands in."""

    template_name = "accounts/login.html"

    home = "/"
    home_without_role = "/"
    """Where people get who may do nothing here but log in."""

    def get(self, request: ConsoleRequest) -> HttpResponse:
        if request.actor.is_authenticated:
            return redirect(self._next(request, request.user))
        return self._page(request, LoginForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = LoginForm(request.POST)
        if not form.is_valid():
            return self._page(request, form, status=422)
        username = form.cleaned_data["username"]
        attempt = prove(request, username, form.cleaned_data["password"], door=Door.PAGE)
        if attempt.awaits_code:
            services.await_code(actor=attempt.actor, account=attempt.awaits_code)
            remember_password(request, attempt.awaits_code)
            query = urlencode({"next": request.GET["next"]}) if "next" in request.GET else ""
            return redirect(f"{reverse('accounts:login-code')}{'?' if query else ''}{query}")
        return self.finish(request, attempt, form)

    def finish(self, request: ConsoleRequest, attempt: Attempt, form: forms.Form) -> HttpResponse:
        """Log in whom attempt proved, or show the form again."""
        try:
            account = services.open_session(
                actor=attempt.actor,
                username=attempt.username,
                account=attempt.account,
                locked_out=attempt.locked_out,
                factor=attempt.factor,
                wants_code=attempt.wants_code,
            )
        except services.CredentialsRefused as error:
            form.add_error(None, error.message)
            return self._page(request, form, status=error.status)
        begin_session(request, account)
        if attempt.factor is Factor.RECOVERY_CODE:
            left = unused_recovery_codes(account)
            messages.warning(
                request,
                ngettext(
                    "You used a recovery code. %(left)d is left: make new ones, under Security.",
                    "You used a recovery code. %(left)d are left: make new ones, under Security.",
                    left,
                )
                % {"left": left},
            )
        if lacks_second_factor(account):
            return redirect("accounts:second-factor")
        return redirect(self._next(request, account))

    def _next(self, request: ConsoleRequest, account: Account) -> str:
        if self.home_without_role != self.home and not services.roles_of(account):
            return self.home_without_role  # Nothing else is there for them.
        wanted = request.GET.get("next", "")
        own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
        return wanted if own else self.home

    def _page(self, request: ConsoleRequest, form: forms.Form, status: int = 200) -> HttpResponse:
        return render(request, self.template_name, {"form": form}, status=status)


class LoginCode(Login):
    """The second step, of those who have a second factor."""

    template_name = "accounts/login_code.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        if remembered_account(request) is None:
            return redirect("accounts:login")
        return self._page(request, CodeForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        account = remembered_account(request)
        if account is None:
            messages.error(request, _("That took too long. Log in again."))
            return redirect("accounts:login")
        form = CodeForm(request.POST)
        if not form.is_valid():
            return self._page(request, form, status=422)
        attempt = prove_code(request, account, form.cleaned_data["code"], door=Door.PAGE)
        return self.finish(request, attempt, form)


class Logout(View):
    def post(self, request: ConsoleRequest) -> HttpResponse:
        if request.actor.is_authenticated:
            services.close_session(actor=request.actor, account=request.user)
        logout(request)
        return redirect("/")


class SetPassword(View):
    """Where the link of a new account leads."""

    def get(self, request: ConsoleRequest, key: str, token: str) -> HttpResponse:
        return self._form(request, SetPasswordForm(), key, token)

    def post(self, request: ConsoleRequest, key: str, token: str) -> HttpResponse:
        form = SetPasswordForm(request.POST)
        if not form.is_valid():
            return self._form(request, form, key, token, status=422)
        try:
            services.set_password_by_link(
                actor=request.actor, key=key, token=token, password=form.cleaned_data["password"]
            )
        except InvalidInput as error:
            form.add_error("password", error.fields["password"])
            return self._form(request, form, key, token, status=422)
        except DomainError as error:
            return self._page(request, status=error.status, refusal=error.message)
        messages.success(request, _("Your password is set. Log in."))
        return redirect("accounts:login")

    def _form(
        self,
        request: ConsoleRequest,
        form: SetPasswordForm,
        key: str,
        token: str,
        status: int = 200,
    ) -> HttpResponse:
        try:
            account = services.account_for_link(key, token)
        except DomainError as error:
            return self._page(request, status=error.status, refusal=error.message)
        return self._page(request, status=status, form=form, account=account)

    def _page(self, request: ConsoleRequest, status: int = 200, **context: Any) -> HttpResponse:
        return render(request, "accounts/set_password.html", context, status=status)


class ChangePassword(ConsoleView):
    """The own password, for whoever has one."""

    template_name = "accounts/change_password.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(form=SetPasswordForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = SetPasswordForm(request.POST)
        if not form.is_valid():
            return self.invalid(form)
        try:
            services.change_password(
                actor=request.actor,
                account=request.user,
                password=form.cleaned_data["password"],
                session_token=str(request.session.session_key),
            )
        except InvalidInput as error:
            return self.invalid(form, error=error)
        keep_session(request)
        messages.success(request, _("Your password is changed. All other sessions are over."))
        return redirect("accounts:security")
