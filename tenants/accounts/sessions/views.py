from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from ..actors import lacks_second_factor
from ..models import Session
from ..second_factor.selectors import unused_recovery_codes
from . import services
from .agents import name_of_agent
from .selectors import live_sessions, live_tokens


class Security(ConsoleView):
    """Own sessions, API tokens and second factor."""

    template_name = "accounts/security.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        account = request.user
        present = Session(session_key=request.session.session_key or "").handle
        return self.render(
            account=account,
            is_missing=lacks_second_factor(account),
            codes_left=unused_recovery_codes(account) if account.second_factor_at else 0,
            sessions=[
                (one, name_of_agent(one.agent), one.handle == present)
                for one in live_sessions(account)
            ],
            tokens=[(one, name_of_agent(one.agent)) for one in live_tokens(account)],
        )


class SessionRevoke(ConsoleView):
    def post(self, request: ConsoleRequest, handle: str) -> HttpResponse:
        services.revoke_session(actor=request.actor, account=request.user, handle=handle)
        messages.success(request, _("The session is over."))
        return redirect("accounts:security")


class SessionsRevoke(ConsoleView):
    """End all others."""

    def post(self, request: ConsoleRequest) -> HttpResponse:
        count = services.revoke_other_sessions(
            actor=request.actor,
            account=request.user,
            session_token=str(request.session.session_key),
        )
        ended = ngettext("%(count)d session is over.", "%(count)d sessions are over.", count)
        messages.success(request, ended % {"count": count})
        return redirect("accounts:security")


class TokenRevoke(ConsoleView):
    def post(self, request: ConsoleRequest, handle: str) -> HttpResponse:
        services.revoke_own_token(actor=request.actor, account=request.user, handle=handle)
        messages.success(request, _("The token is void."))
        return redirect("accounts:security")


class TokensRevoke(ConsoleView):
    def post(self, request: ConsoleRequest) -> HttpResponse:
        count = services.revoke_own_tokens(actor=request.actor, account=request.user)
        ended = ngettext("%(count)d token is void.", "%(count)d tokens are void.", count)
        messages.success(request, ended % {"count": count})
        return redirect("accounts:security")
