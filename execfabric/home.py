from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views import View

from execfabric.web.requests import ConsoleRequest
from tenants.registry.models import TenantKind


class TenantHome(View):
    """The front door of a tenant host: its console, or the free edition's landing page."""

    def get(self, request: ConsoleRequest) -> HttpResponse:
        if request.actor.is_authenticated:
            return redirect("catalogue:skill-list")
        if request.tenant.kind == TenantKind.FREE:
            return render(request, "accounts/landing.html")
        return redirect("accounts:login")
