from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from execfabric.core.errors import InvalidInput, ProofNeeded
from execfabric.web.menu import brand_of
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from ..actors import lacks_second_factor
from ..forms import CodeForm
from ..sessions.opening import keep_session
from . import services
from .codes import setup_uri
from .picture import qr_picture
from .selectors import unused_recovery_codes


class SecondFactorPage(ConsoleView):
    """The second factor of whoever looks: set up, confirmed, taken away."""

    template_name = "accounts/second_factor.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self._page(request, CodeForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        """Confirm it with its first code."""
        form = CodeForm(request.POST)
        if not form.is_valid():
            return self._page(request, form, status=422)
        try:
            made = services.confirm_second_factor(
                actor=request.actor,
                account=request.user,
                secret_code=form.cleaned_data["code"],
                session_token=str(request.session.session_key),
            )
        except InvalidInput as error:
            form.add_error("code", error.message)
            return self._page(request, form, status=422)
        keep_session(request)
        return show_codes(self, made)

    def _page(self, request: ConsoleRequest, form: CodeForm, status: int = 200) -> HttpResponse:
        account = request.user
        factor = None if account.second_factor_at else services.pending_factor(account)
        if factor is not None and not request.actor.is_proven:
            raise ProofNeeded(_("Set up a second factor"))
        secret = services.secret_of(factor) if factor else ""
        brand = brand_of(request)
        issuer = f"{brand.name} {brand.subtitle}".strip()
        uri = setup_uri(secret, username=account.username, issuer=issuer) if secret else ""
        response = self.render(
            status=status,
            account=account,
            form=form,
            is_missing=lacks_second_factor(account),
            is_required=services.is_required_of(account),
            codes_left=unused_recovery_codes(account) if account.second_factor_at else 0,
            secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
            picture=qr_picture(uri) if uri else "",
        )
        response["Cache-Control"] = "no-store"
        return response


class SecondFactorBegin(ConsoleView):
    def post(self, request: ConsoleRequest) -> HttpResponse:
        services.begin_second_factor(actor=request.actor, account=request.user)
        return redirect("accounts:second-factor")


class SecondFactorRemove(ConsoleView):
    def post(self, request: ConsoleRequest) -> HttpResponse:
        services.remove_second_factor(
            actor=request.actor,
            account=request.user,
            session_token=str(request.session.session_key),
        )
        keep_session(request)
        messages.success(request, _("From now on the password is enough to log in."))
        return redirect("accounts:security")


class RecoveryCodesRenew(ConsoleView):
    template_name = "accounts/second_factor.html"

    def post(self, request: ConsoleRequest) -> HttpResponse:
        made = services.renew_recovery_codes(actor=request.actor, account=request.user)
        return show_codes(self, made)


def show_codes(view: ConsoleView, made: services.RecoveryCodes) -> HttpResponse:
    """Return the page with fresh codes. No redirect: they are known here and never again."""
    response = view.render(template_name="accounts/recovery_codes.html", codes=list(made))
    response["Cache-Control"] = "no-store"
    return response
