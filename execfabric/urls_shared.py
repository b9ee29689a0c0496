"""The few addresses both kinds of host answer: health, the API's login and its description."""

from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from execfabric.web.api.views import not_found
from execfabric.web.health import healthz

handler400 = "execfabric.web.views.bad_request"
handler403 = "execfabric.web.views.permission_denied"
handler404 = "execfabric.web.views.page_not_found"
handler500 = "execfabric.web.views.server_error"


def robots(_request: object) -> HttpResponse:
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")


def shared(urlconf: str) -> list[URLPattern | URLResolver]:
    """Return the shared addresses for the URL set named urlconf, which the API page describes."""
    described = SpectacularAPIView.as_view(urlconf=urlconf)
    return [
        path("healthz", healthz, name="healthz"),
        path("robots.txt", robots),
        path("api/v1/", include("tenants.accounts.urls_api")),
        path("api/v1/", include("tenants.accounts.sessions.urls_api")),
        path("api/v1/", include("execfabric.web.audit.urls_api")),
        path("api/v1/", include("governance.audit.urls_api")),
        path("api/v1/schema/", described, name="api-schema"),
        path(
            "api/v1/docs/",
            SpectacularSwaggerSplitView.as_view(
                url_name="api-schema", http_method_names=["get", "head"]
            ),
            name="api-docs",
        ),
    ]


unknown_api = re_path(r"^api/(?P<path>.*)$", not_found)
"""Last of the API's addresses, so that the answer is JSON and not a page."""
