from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import login, logout
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views import View

from execfabric.core.actor import Door
from execfabric.core.errors import DomainError, InvalidInput
from execfabric.web.requests import ConsoleRequest

from . import services
from .forms import LoginForm, SetPasswordForm
from .login import prove


class Login(View):
    """The login page of a host; which page follows is up to the URL set it stands in."""

    home = "/"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        if request.actor.is_authenticated:
            return redirect(self._next(request))
        return self._page(request, LoginForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = LoginForm(request.POST)
        if not form.is_valid():
            return self._page(request, form, status=422)
        username = form.cleaned_data["username"]
        attempt = prove(request, username, form.cleaned_data["password"], door=Door.PAGE)
        try:
            account = services.open_session(
                actor=attempt.actor,
                username=username,
                account=attempt.account,
                locked_out=attempt.locked_out,
            )
        except services.CredentialsRefused as error:
            form.add_error(None, error.message)
            return self._page(request, form, status=error.status)
        login(request, account)
        return redirect(self._next(request))

    def _next(self, request: ConsoleRequest) -> str:
        wanted = request.GET.get("next", "")
        own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
        return wanted if own else self.home

    def _page(self, request: ConsoleRequest, form: LoginForm, status: int = 200) -> HttpResponse:
        return render(request, "accounts/login.html", {"form": form}, status=status)


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
