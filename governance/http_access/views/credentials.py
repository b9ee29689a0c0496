from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tables2 import RequestConfig

from execfabric.core.errors import DomainError
from execfabric.core.selectors import audit_events_visible_to
from execfabric.web.requests import ConsoleRequest

from .. import selectors
from ..credentials import services
from ..credentials.forms import CredentialForm, SecretsForm, named_settings
from ..forms import ReasonForm
from ..models import HttpCredential, Style
from ..tables import CredentialTable
from .resources import PER_PAGE, ResourceView

USES = 20


class CredentialView(ResourceView):
    def credential(self, name: str) -> HttpCredential:
        return get_object_or_404(selectors.credentials_visible_to(self.request.actor), name=name)


class CredentialList(CredentialView):
    template_name = "http_access/credential_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        table = CredentialTable(selectors.credentials_visible_to(request.actor))
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        return self.render(
            table=table, styles=Style.choices, ending=selectors.count_expiring(request.actor)
        )


class CredentialNew(CredentialView):
    template_name = "http_access/credential_form.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        style = self.style(request)
        return self.render(form=CredentialForm(style=style), style=Style(style))

    def post(self, request: ConsoleRequest) -> HttpResponse:
        style = self.style(request)
        form = CredentialForm(request.POST, style=style)
        if not form.is_valid():
            return self.invalid(form, style=Style(style))
        given = form.cleaned_data
        try:
            credential = services.create_credential(
                actor=request.actor,
                name=given["slug"],
                title=given["title"],
                style=style,
                settings=form.settings(),
                secrets=form.secrets(),
                expires_at=given["expires_on"],
            )
        except DomainError as error:
            if taken := error.fields.pop("name", ""):  # The form has another field of that name.
                error.fields["slug"] = taken
            return self.invalid(form, error=error, style=Style(style))
        messages.success(request, _("Stored. Nobody is shown its secrets again."))
        return redirect("http_access:credential-detail", credential.name)

    def style(self, request: ConsoleRequest) -> str:
        style = request.GET.get("style", Style.API_KEY.value)
        if style not in Style.values:
            raise Http404
        return style


class CredentialDetail(CredentialView):
    template_name = "http_access/credential_detail.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        credential = self.credential(name)
        uses = audit_events_visible_to(request.actor).filter(
            code="http_access.credential.use", target_id=str(credential.pk)
        )
        return self.render(
            credential=credential,
            state=credential.status_at(timezone.now()),
            versions=credential.versions.all(),
            settings=named_settings(credential.settings),
            resources=selectors.resources_using(credential),
            uses=uses[:USES],
            form=SecretsForm(style=credential.style),
        )


class CredentialReplace(CredentialView):
    template_name = "http_access/credential_replace.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        credential = self.credential(name)
        return self.render(form=SecretsForm(style=credential.style), credential=credential)

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        credential = self.credential(name)
        form = SecretsForm(request.POST, style=credential.style)
        if not form.is_valid():
            return self.invalid(form, credential=credential)
        try:
            services.replace_credential(
                actor=request.actor,
                credential=credential,
                secrets=form.secrets(),
                expires_at=form.cleaned_data["expires_on"],
            )
        except DomainError as error:
            return self.invalid(form, error=error, credential=credential)
        messages.success(request, _("Replaced. Every call from now on uses it."))
        return redirect("http_access:credential-detail", name)


class CredentialRevoke(CredentialView):
    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        credential, form = self.credential(name), ReasonForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        services.revoke_credential(actor=request.actor, credential=credential, reason=reason)
        messages.success(request, _("Revoked, and its secrets are gone."))
        return redirect("http_access:credential-detail", name)
