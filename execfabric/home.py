from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views import View

from tenants.registry.models import TenantKind


class TenantHome(View):
    """The front door of a tenant host: its console, or the free edition's landing page."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if request.actor.is_authenticated:
            return redirect("catalogue:skill-list")
        if request.tenant.kind == TenantKind.FREE:
            return render(request, "accounts/landing.html")
        return redirect("accounts:login")
