from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from execfabric.core.errors import DomainError, InvalidInput
from execfabric.core.permissions import can
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from . import selectors, services
from .forms import DelegationForm, RulesForm
from .inbox import inbox_of
from .rules import rules_in_force


class Inbox(ConsoleView):
    """What waits for who looks, the oldest first."""

    template_name = "approvals/inbox.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(
            waiting=inbox_of(request.actor),
            may_delegate=selectors.has_approvals_to_give(request.actor),
            delegations=list(selectors.active_delegations(request.actor, timezone.now())),
        )


class DelegationList(ConsoleView):
    """What is delegated by or to who looks, and a form to delegate more."""

    template_name = "approvals/delegations.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.page(self.form(initial={"until": timezone.localdate() + timedelta(days=14)}))

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = self.form(request.POST)
        if not form.is_valid():
            return self.page(form, status=422)
        try:
            services.delegate(actor=request.actor, **form.wanted())
        except InvalidInput as error:
            for name, text in error.fields.items():
                form.add_error("until" if name == "ends_at" else name, text)
            return self.page(form, status=422)
        messages.success(request, _("Delegated. You can still approve yourself."))
        return redirect("approvals:delegations")

    def form(self, *args: Any, **kwargs: Any) -> DelegationForm:
        return DelegationForm(*args, own_id=self.request.actor.user_id, **kwargs)

    def page(self, form: DelegationForm, status: int = 200) -> HttpResponse:
        actor = self.request.actor
        rows = [
            (one, can(actor, "executions.delegation.end", one))
            for one in selectors.active_delegations(actor, timezone.now())
        ]
        return self.render(
            form=form,
            rows=rows,
            may_delegate=selectors.has_approvals_to_give(actor),
            status=status,
        )


class DelegationEnd(ConsoleView):
    def post(self, request: ConsoleRequest, delegation_id: int) -> HttpResponse:
        visible = selectors.delegations_visible_to(request.actor)
        delegation = get_object_or_404(visible, pk=delegation_id)
        services.end_delegation(actor=request.actor, delegation=delegation)
        messages.success(request, _("Ended."))
        return redirect("approvals:delegations")


class RulesPage(ConsoleView):
    """The rules in force, and the form that sets others; not there for who may not see them."""

    template_name = "approvals/rules.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        actor = self.request.actor
        if actor.is_authenticated and not can(actor, "executions.rules.read"):
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.page(RulesForm.showing(rules_in_force()))

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = RulesForm(request.POST)
        if not form.is_valid():
            return self.page(form, status=422)
        try:
            services.set_rules(actor=request.actor, **form.wanted())
        except DomainError as error:
            form.add_error(None, [error.message, *error.fields.values()])
            return self.page(form, status=422)
        messages.success(request, _("These rules are in force now, for what waits already, too."))
        return redirect("approvals:rules")

    def page(self, form: RulesForm, status: int = 200) -> HttpResponse:
        return self.render(
            form=form,
            rules=rules_in_force(),
            history=selectors.rules_history(),
            may_set=can(self.request.actor, "executions.rules.set"),
            status=status,
        )
