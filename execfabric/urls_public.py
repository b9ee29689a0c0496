"""What the admin host answers: governance, and no business page of any tenant."""

from django.urls import include, path

from execfabric import urls_shared
from execfabric.urls_shared import handler400, handler403, handler404, handler500
from governance.admins.views import Entrance, Front

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [
    path("", Front.as_view(), name="home"),
    *urls_shared.shared(__name__),
    path("platform/", include("tenants.accounts.urls_public")),
    path("platform/audit/", include("execfabric.web.audit.urls")),
    path("platform/audit/archives/", include("governance.audit.urls")),
    path("platform/", include("governance.urls")),
    path("platform/", include("governance.http_access.urls")),
    path("platform/", include("governance.admins.urls")),
    path("platform/", include("governance.entry_board.urls")),
    path("entrance/", Entrance.as_view(), name="entrance"),
    path("api/v1/", include("governance.urls_api")),
    path("api/v1/", include("governance.http_access.urls_api")),
    path("api/v1/", include("governance.admins.urls_api")),
    urls_shared.unknown_api,
]
