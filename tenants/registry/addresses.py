from __future__ import annotations

from django.conf import settings

from .models import Tenant


def url_for_tenant(tenant: Tenant, path: str = "/") -> str:
    """Return the full address of a path on tenant's primary host, with scheme and port."""
    domain = tenant.domains.filter(is_primary=True).first()
    if domain is None:
        raise LookupError(f"Tenant {tenant.name} has no primary domain.")
    return url_for_host(domain.domain, path)


def url_for_host(host: str, path: str = "/") -> str:
    """Return the full address of a path on host, in the scheme and port this instance serves."""
    scheme, usual = ("https", 443) if settings.HTTPS else ("http", 80)
    port = "" if usual == settings.PORT or settings.HTTPS else f":{settings.PORT}"
    return f"{scheme}://{host}{port}{path}"
