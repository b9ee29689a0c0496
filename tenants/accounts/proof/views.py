"""Asking for the password, and a code, before a dangerous act; the act then goes on by itself.

The page that asks carries the fields of the form that was sent, and sends them again to the same
address together with the proof. Files cannot go that way: they are chosen again.
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy
from django_htmx.http import HttpResponseClientRedirect

from execfabric.core.actions import PROVEN
from execfabric.core.errors import ProofNeeded
from execfabric.core.permissions import PERMISSIONS
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import SAFE_METHODS, ConsoleView, is_htmx

from .. import services
from ..login import prove
from ..models import Account
from ..sessions.opening import note_proof

PASSWORD = "proof_password"  # noqa: S105 - names of fields
CODE = "proof_code"
TITLE = "proof_title"
NOT_SENT_AGAIN = {PASSWORD, CODE, TITLE, "csrfmiddlewaretoken"}


class ProofForm(forms.Form):
    proof_password = forms.CharField(
        label=gettext_lazy("Your password"),
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )
    proof_code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=64,
        help_text=gettext_lazy("Of your authenticator app, or a recovery code."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autocapitalize": "none"}),
    )

    def __init__(self, account: Account, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        if account.second_factor_at is None:
            del self.fields[CODE]


class PasswordProver:
    """What ``execfabric.web.proof`` asks people with."""

    def take(self, request: ConsoleRequest) -> HttpResponse | None:
        if request.method != "POST" or not request.actor.is_authenticated:
            return None
        if _may_hold_files(request) or PASSWORD not in request.POST:
            return None
        account = request.user
        form = ProofForm(account, request.POST)
        if not form.is_valid():
            return _page(request, form, title=request.POST.get(TITLE, ""), status=422)
        try:
            self._prove(request, account, form.cleaned_data)
        except services.CredentialsRefused as error:
            form.add_error(None, error.message)
            return _page(request, form, title=request.POST.get(TITLE, ""), status=error.status)
        note_proof(request)
        return None

    def ask(self, request: ConsoleRequest, needed: ProofNeeded) -> HttpResponse:
        if is_htmx(request):
            here = urlsplit(request.headers.get("HX-Current-URL", ""))
            back = f"{here.path}?{here.query}" if here.query else here.path
            return HttpResponseClientRedirect(_prove_url(back, needed.title))
        if request.method not in SAFE_METHODS and request.FILES:
            return redirect(_prove_url(_referring_path(request), needed.title))
        return _page(request, ProofForm(request.user), title=needed.title, status=403)

    def _prove(self, request: ConsoleRequest, account: Account, given: dict[str, str]) -> None:
        attempt = prove(
            request,
            account.username,
            given[PASSWORD],
            door=request.actor.door,
            code=given.get(CODE, ""),
        )
        services.prove_again(
            actor=request.actor,
            account=account,
            proven=attempt.account,
            locked_out=attempt.locked_out,
            factor=attempt.factor,
            wants_code=attempt.wants_code,
        )


class Prove(ConsoleView):
    """The same page under an address of its own, for what cannot be sent again."""

    def get(self, request: ConsoleRequest) -> HttpResponse:
        if request.actor.is_proven:
            return redirect(self._next(request))
        raise ProofNeeded(request.GET.get("for", ""))

    def post(self, request: ConsoleRequest) -> HttpResponse:
        # The proof was taken on the way here (ConsoleView.dispatch).
        if not request.actor.is_proven:
            raise ProofNeeded(request.GET.get("for", ""))
        return redirect(self._next(request))

    def _next(self, request: ConsoleRequest) -> str:
        wanted = request.GET.get("next", "")
        own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
        return wanted if own and wanted.startswith("/") else "/"


def _page(request: ConsoleRequest, form: ProofForm, *, title: str, status: int) -> HttpResponse:
    replays = request.method not in SAFE_METHODS
    is_own = request.path == reverse("accounts:prove")
    if replays or is_own:
        action = request.get_full_path()
    else:
        action = _prove_url(request.get_full_path(), title)
    context = {
        "form": form,
        "action": action,
        "title": title if title in _titles() else "",
        "title_field": TITLE,
        "again": _fields_of(request) if replays else [],
        "back": _referring_path(request),
        "minutes": max(1, settings.PROOF_S // 60),
    }
    response = render(request, "accounts/prove.html", context, status=status)
    response["Cache-Control"] = "no-store"  # The fields may be secrets.
    return response


def _titles() -> set[str]:
    """Return what may be asked for: no address makes the page say anything else."""
    return {PERMISSIONS[code].title for code in PROVEN}


def _fields_of(request: ConsoleRequest) -> list[tuple[str, str]]:
    return [
        (name, str(value))
        for name, values in request.POST.lists()
        if name not in NOT_SENT_AGAIN
        for value in values
    ]


def _may_hold_files(request: ConsoleRequest) -> bool:
    """Return whether the body is left for the view to read; the proof's own form is none such."""
    return request.content_type != "application/x-www-form-urlencoded"


def _prove_url(back: str, title: str) -> str:
    return f"{reverse('accounts:prove')}?{urlencode({'next': back or '/', 'for': title})}"


def _referring_path(request: ConsoleRequest) -> str:
    referer = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(referer, {request.get_host()}, request.is_secure()):
        return "/"
    parts = urlsplit(referer)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path or "/"
