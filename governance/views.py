from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_tables2 import RequestConfig
from django_tenants.utils import schema_context

from execfabric.core.errors import DomainError
from execfabric.core.models import AuditEvent
from execfabric.core.permissions import can
from execfabric.core.selectors import audit_events_visible_to
from execfabric.web.audit.tables import title_of
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView
from skills.executions.selectors import days_kept
from tenants.registry.addresses import url_for_host, url_for_tenant
from tenants.registry.models import Tenant, TenantKind, TenantStatus
from tenants.registry.selectors import tenants_visible_to
from tenants.registry.services import (
    OwnerRequest,
    activate_tenant,
    close_tenant,
    limit_tenant,
    open_tenant,
    resume_tenant,
    set_tenant_term,
    suspend_tenant,
)

from .dashboard.charts import Chart, stacked_bars
from .filters import TenantFilter
from .forms import LimitsForm, OpenTenantForm, OptionalReasonForm, ReasonForm, TermForm
from .selectors import ledger_visible_to
from .tables import TenantTable
from .tenant_data.selectors import deletion_of, deletions_visible_to, exports_visible_to
from .usage.selectors import runs_of

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

PER_PAGE = 25
LATEST = 6


class PlatformView(ConsoleView):
    """A page of the governance domain; not there for anybody without its permission."""

    permission = "registry.tenant.read"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        actor = self.request.actor
        if actor.is_authenticated and not can(actor, self.permission):
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def tenant(self, name: str) -> Tenant:
        return get_object_or_404(tenants_visible_to(self.request.actor), name=name)

    def latest(self, events: QuerySet[AuditEvent]) -> list[tuple[str, AuditEvent]]:
        """Return the newest events, each with what people call the act."""
        return [(title_of(event.code), event) for event in events[:LATEST]]


class TenantList(PlatformView):
    template_name = "governance/tenant_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        found = TenantFilter(request.GET, queryset=ledger_visible_to(request.actor))
        table = TenantTable(found.qs)
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        may_open = can(request.actor, "registry.tenant.open")
        return self.render(filter=found, table=table, may_open=may_open)


class TenantOpen(PlatformView):
    template_name = "governance/tenant_open.html"
    permission = "registry.tenant.open"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(form=OpenTenantForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = OpenTenantForm(request.POST)
        if not form.is_valid():
            return self.invalid(form)
        wanted = form.cleaned_data
        owner = OwnerRequest(
            wanted["username"],
            email=wanted["email"],
            display_name=wanted["display_name"],
            password=wanted["password"],
        )
        try:
            tenant = open_tenant(
                actor=request.actor,
                name=wanted["name"],
                title=wanted["title"],
                domain=wanted["domain"],
                owner=owner,
            )
        except DomainError as error:
            return self.invalid(form, error=error)
        return self._opened(tenant, owner)

    def _opened(self, tenant: Tenant, owner: OwnerRequest) -> HttpResponse:
        """Return the result page. No redirect: the link on it is known here and never again."""
        path = tenant.set_password_path
        response = self.render(
            status=201,
            template_name="governance/tenant_opened.html",
            tenant=tenant,
            username=owner.username,
            url=url_for_tenant(tenant),
            link=url_for_tenant(tenant, path) if path else "",
        )
        response["Cache-Control"] = "no-store"
        return response


class TenantDetail(PlatformView):
    template_name = "governance/tenant_detail.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        actor = request.actor
        tenant = ledger_visible_to(actor).filter(name=name).first()
        meant = request.GET.get("id", "")
        if tenant is None or meant not in {"", str(tenant.pk)}:
            return self._gone(meant)
        status = TenantStatus(tenant.status)
        with schema_context(tenant.schema_name):
            days = days_kept()
        deletion = deletion_of(actor, tenant.pk)
        exports = list(exports_visible_to(actor).filter(tenant_id=tenant.pk)[:LATEST])
        work = [str(one.pk) for one in (*exports, deletion) if one is not None]
        about = audit_events_visible_to(actor).filter(
            Q(target_type="registry.tenant", target_id=str(tenant.pk))
            | Q(target_type__in=["tenant_data.tenantexport", "tenant_data.tenantdeletion"],
                target_id__in=work)
        )  # fmt: skip
        return self.render(
            tenant=tenant,
            usage=getattr(tenant, "usage", None),
            customer=getattr(getattr(tenant, "customer_link", None), "customer", None),
            chart=_results_chart(tenant),
            files_kept_days=days,
            state=status,
            hosts=[
                (url_for_host(one.domain), one.domain, one.is_primary)
                for one in sorted(tenant.domains.all(), key=lambda one: not one.is_primary)
            ],
            deletion=deletion,
            exports=exports,
            may=self._may(tenant, has_deletion=deletion is not None),
            grace_days=settings.DELETION_GRACE_DAYS,
            events=self.latest(about),
        )

    def _gone(self, tenant_id: str) -> HttpResponse:
        """Lead to how a tenant was deleted whose name may be another's now."""
        known = tenant_id if tenant_id.isdecimal() and len(tenant_id) < 19 else "0"
        deletions = deletions_visible_to(self.request.actor).filter(tenant_id=known, status="done")
        deletion = get_object_or_404(deletions)
        return redirect("governance:deletion-detail", deletion.pk)

    def _may(self, tenant: Tenant, *, has_deletion: bool) -> dict[str, bool]:
        """Return which acts are offered: permitted, and possible in the state there is."""
        status, actor = TenantStatus(tenant.status), self.request.actor
        possible = {
            "limit": True,
            "set_term": not tenant.is_closed,
            "suspend": tenant.is_open,
            "resume": not tenant.is_open and not has_deletion,
            "activate": status in {TenantStatus.TRIAL, TenantStatus.EXPIRING},
            "close": not tenant.is_closed and tenant.kind == TenantKind.CUSTOMER,
        }
        return {
            **{
                verb: is_possible and can(actor, f"registry.tenant.{verb}", tenant)
                for verb, is_possible in possible.items()
            },
            "export": can(actor, "tenant_data.export.request", tenant),
            "delete": tenant.is_closed
            and not has_deletion
            and can(actor, "tenant_data.deletion.schedule", tenant),
        }


def _results_chart(tenant: Tenant) -> Chart:
    days = runs_of(tenant.pk, timezone.now(), days=30)
    return stacked_bars(
        _("Executions in the last 30 days"),
        [day for day, _total, _failed in days],
        [
            (_("Not failed"), "", [total - failed for _day, total, failed in days]),
            (_("Failed"), "", [failed for _day, _total, failed in days]),
        ],
    )


class TenantLimits(PlatformView):
    template_name = "governance/tenant_limits.html"
    permission = "registry.tenant.limit"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        tenant = self.tenant(name)
        form = LimitsForm(initial={"concurrency": tenant.concurrency})
        return self.render(tenant=tenant, form=form)

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        tenant = self.tenant(name)
        form = LimitsForm(request.POST)
        if not form.is_valid():
            return self.invalid(form, tenant=tenant)
        limit_tenant(
            actor=request.actor, tenant=tenant, concurrency=form.cleaned_data["concurrency"]
        )
        messages.success(request, _("Saved. It holds from the next execution on."))
        return redirect("governance:tenant-detail", name)


class TenantTerm(PlatformView):
    template_name = "governance/tenant_term.html"
    permission = "registry.tenant.set_term"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        tenant = self.tenant(name)
        return self.render(tenant=tenant, form=TermForm(initial={"expires_on": tenant.expires_on}))

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        tenant = self.tenant(name)
        form = TermForm(request.POST)
        if not form.is_valid():
            return self.invalid(form, tenant=tenant)
        set_tenant_term(
            actor=request.actor, tenant=tenant, expires_on=form.cleaned_data["expires_on"]
        )
        messages.success(request, _("Saved."))
        return redirect("governance:tenant-detail", name)


class StatusView(PlatformView):
    """A change of status with a reason, posted from the tenant's page."""

    done: ClassVar[str | StrPromise] = ""
    form_class: ClassVar[type[forms.Form]] = ReasonForm

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        form = self.form_class(request.POST)
        tenant = self.tenant(name)
        if not form.is_valid():
            messages.error(request, _("Give a reason of at most 2000 characters."))
            return redirect("governance:tenant-detail", name)
        self.change(tenant, form.cleaned_data["reason"])
        messages.success(request, str(self.done))
        return redirect("governance:tenant-detail", name)

    def change(self, tenant: Tenant, reason: str) -> None:
        raise NotImplementedError


class TenantSuspend(StatusView):
    permission = "registry.tenant.suspend"
    done = gettext_lazy("Suspended. Its hosts answer with a page that says so.")

    def change(self, tenant: Tenant, reason: str) -> None:
        suspend_tenant(actor=self.request.actor, tenant=tenant, reason=reason)


class TenantResume(StatusView):
    permission = "registry.tenant.resume"
    form_class = OptionalReasonForm  # The page asks for one all the same.
    done = gettext_lazy("Resumed. Its hosts answer again.")

    def change(self, tenant: Tenant, reason: str) -> None:
        resume_tenant(actor=self.request.actor, tenant=tenant, reason=reason)


class TenantActivate(StatusView):
    permission = "registry.tenant.activate"
    form_class = OptionalReasonForm
    done = gettext_lazy("It is a regular tenant now.")

    def change(self, tenant: Tenant, reason: str) -> None:
        activate_tenant(actor=self.request.actor, tenant=tenant, reason=reason)


class TenantClose(StatusView):
    permission = "registry.tenant.close"
    done = gettext_lazy("Closed. Nothing is deleted; export it, or schedule its deletion.")

    def change(self, tenant: Tenant, reason: str) -> None:
        close_tenant(
            actor=self.request.actor, tenant=tenant, reason=reason, closed_at=timezone.now()
        )
