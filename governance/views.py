from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tables2 import RequestConfig
from django_tenants.utils import schema_context

from execfabric.core.errors import DomainError
from execfabric.core.models import AuditEvent
from execfabric.core.permissions import can
from execfabric.core.sealing_state import is_in_time, known_state
from execfabric.core.selectors import audit_events_visible_to
from execfabric.web.audit.tables import title_of
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView
from skills.executions.selectors import days_kept
from tenants.registry.addresses import url_for_host, url_for_tenant
from tenants.registry.models import Tenant, TenantStatus
from tenants.registry.selectors import tenants_visible_to
from tenants.registry.services import (
    OwnerRequest,
    limit_tenant,
    open_tenant,
    resume_tenant,
    suspend_tenant,
)

from .filters import TenantFilter
from .forms import LimitsForm, OpenTenantForm, SuspendForm
from .tables import TenantTable

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


class Home(PlatformView):
    template_name = "governance/home.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        tenants = tenants_visible_to(request.actor)
        counted = tenants.order_by().values_list("status").annotate(Count("pk"))
        counts = dict(counted)
        sealing = known_state()
        return self.render(
            counts=[(status, counts.get(status, 0)) for status in TenantStatus],
            latest=tenants.order_by("-created_at")[:LATEST],
            events=self.latest(audit_events_visible_to(request.actor)),
            may_open=can(request.actor, "registry.tenant.open"),
            sealing=sealing,
            seals_are_late=not is_in_time(sealing, now=timezone.now()),
        )


class TenantList(PlatformView):
    template_name = "governance/tenant_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        found = TenantFilter(request.GET, queryset=tenants_visible_to(request.actor))
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
        tenant = self.tenant(name)
        status = TenantStatus(tenant.status)
        may_suspend = can(request.actor, "registry.tenant.suspend", tenant)
        may_resume = can(request.actor, "registry.tenant.resume", tenant)
        about = audit_events_visible_to(request.actor).filter(
            target_type="registry.tenant", target_id=str(tenant.pk)
        )
        with schema_context(tenant.schema_name):
            days = days_kept()
        return self.render(
            tenant=tenant,
            files_kept_days=days,
            state=status,
            hosts=[
                (url_for_host(one.domain), one.domain, one.is_primary)
                for one in sorted(tenant.domains.all(), key=lambda one: not one.is_primary)
            ],
            may_limit=can(request.actor, "registry.tenant.limit", tenant),
            may_suspend=may_suspend and tenant.is_open,
            may_resume=may_resume and status == TenantStatus.SUSPENDED,
            events=self.latest(about),
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


class TenantSuspend(PlatformView):
    permission = "registry.tenant.suspend"

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        form = SuspendForm(request.POST)
        tenant = self.tenant(name)
        if not form.is_valid():
            messages.error(request, _("Give a reason of at most 2000 characters."))
            return redirect("governance:tenant-detail", name)
        suspend_tenant(actor=request.actor, tenant=tenant, reason=form.cleaned_data["reason"])
        messages.success(request, _("Suspended. Its hosts answer with a page that says so."))
        return redirect("governance:tenant-detail", name)


class TenantResume(PlatformView):
    permission = "registry.tenant.resume"

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        resume_tenant(actor=request.actor, tenant=self.tenant(name))
        messages.success(request, _("Resumed. Its hosts answer again."))
        return redirect("governance:tenant-detail", name)
