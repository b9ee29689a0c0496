"""What tenant hosts answer, the free edition's among them. No governance page stands here.

The ledger of HTTP resources is a tenant's own page, of a package of the governance domain.
"""

from django.urls import include, path

from execfabric import urls_shared
from execfabric.home import TenantHome
from execfabric.urls_shared import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [
    # First, since the way to a run leads through here, and Django tries one after another.
    path("api/v1/", include("skills.executions.urls_api")),
    path("", TenantHome.as_view(), name="home"),
    *urls_shared.shared(__name__),
    path("", include("tenants.accounts.urls")),
    path("groups/", include("tenants.accounts.groups.urls")),
    path("skills/", include("skills.catalogue.urls")),
    path("executions/", include("skills.executions.urls")),
    path("approvals/", include("skills.executions.approvals.urls")),
    path("batches/", include("skills.batches.urls")),
    path("submissions/", include("skills.hot_update.submitting.urls")),
    path("http-resources/", include("governance.http_access.ledger.urls")),
    path("audit/", include("execfabric.web.audit.urls")),
    path("audit/archives/", include("governance.audit.urls")),
    path("api/v1/", include("tenants.accounts.groups.urls_api")),
    path("api/v1/", include("skills.catalogue.urls_api")),
    path("api/v1/", include("skills.executions.approvals.urls_api")),
    path("api/v1/", include("skills.batches.urls_api")),
    path("api/v1/", include("skills.hot_update.submitting.urls_api")),
    path("api/v1/", include("governance.http_access.ledger.urls_api")),
    urls_shared.unknown_api,
]
