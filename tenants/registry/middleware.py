"""The Host header chooses the tenant: schema, URL set, and whether anything is answered at all."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import set_urlconf
from whitenoise.middleware import WhiteNoiseMiddleware

from execfabric.core.errors import error_document
from execfabric.web.views import API_PREFIX, suspended, unknown_host

from .hosts import tenant_for_host
from .models import Tenant

GetResponse = Callable[[HttpRequest], HttpResponse]


class TenantMiddleware:
    """Switches to the tenant of the host, or answers without touching anything of a tenant."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        connection.set_schema_to_public()  # type: ignore[attr-defined]
        tenant = _tenant_of(request)
        if tenant is None:
            return _nobody(request)
        if not tenant.is_open:
            return _refusal(request, 403, "tenant_not_open", suspended)
        return self._answer(request, tenant)

    def _answer(self, request: HttpRequest, tenant: Tenant) -> HttpResponse:
        request.tenant = tenant  # type: ignore[attr-defined]
        connection.set_tenant(tenant)  # type: ignore[attr-defined]
        urlconf = settings.PUBLIC_SCHEMA_URLCONF if tenant.is_platform else settings.ROOT_URLCONF
        request.urlconf = urlconf
        set_urlconf(urlconf)
        return self.get_response(request)


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Static files, for known hosts only; the page of a suspended tenant needs its styles too."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(settings.STATIC_URL):
            connection.set_schema_to_public()  # type: ignore[attr-defined]
            if _tenant_of(request) is None:
                return _nobody(request)
        response: HttpResponse = super().__call__(request)
        return response


def _tenant_of(request: HttpRequest) -> Tenant | None:
    try:
        return tenant_for_host(_without_port(request.get_host()))
    except DisallowedHost:
        return None


def _nobody(request: HttpRequest) -> HttpResponse:
    return _refusal(request, 404, "not_found", unknown_host)


def _without_port(host: str) -> str:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name.lower().rstrip(".")


def _refusal(
    request: HttpRequest, status: int, code: str, page: Callable[[HttpRequest], HttpResponse]
) -> HttpResponse:
    if request.path.startswith(API_PREFIX):
        message = {404: "There is nothing here.", 403: "This workspace is not open."}[status]
        return JsonResponse(error_document(code, message), status=status)
    return page(request)
