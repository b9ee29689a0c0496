from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from django.utils.translation import gettext_lazy as _

from tenants.registry.addresses import url_for_host
from tenants.registry.models import Domain, Tenant, TenantKind

from .asking import Answer, ask_host


class Health(Enum):
    """What came back, beside what had to."""

    WORKS = _("Works")
    CLOSED = _("Closed, as it should be")
    FAILS = _("Fails")


KINDS = {
    TenantKind.PLATFORM: _("Governance"),
    TenantKind.FREE: _("Free edition"),
    TenantKind.CUSTOMER: _("Tenant"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One host that leads somewhere."""

    domain: Domain

    @property
    def tenant(self) -> Tenant:
        tenant: Tenant = self.domain.tenant
        return tenant

    @property
    def kind(self) -> str:
        return str(KINDS[TenantKind(self.tenant.kind)])

    @property
    def url(self) -> str:
        return url_for_host(self.domain.domain)

    @property
    def api_url(self) -> str:
        return url_for_host(self.domain.domain, "/api/v1/docs/")

    @property
    def login_path(self) -> str:
        return "/platform/login/" if self.tenant.is_platform else "/login/"


@dataclass(frozen=True, slots=True)
class Checked:
    """An entry and what it answered: its login page, and its health."""

    entry: Entry
    login: Answer
    health: Answer

    @property
    def verdict(self) -> Health:
        statuses = (self.login.status, self.health.status)
        if not self.entry.tenant.is_open:
            return Health.CLOSED if statuses == (403, 403) else Health.FAILS
        return Health.WORKS if statuses == (200, 200) else Health.FAILS

    @property
    def works(self) -> bool:
        return self.verdict is not Health.FAILS


def check_entries(domains: Iterable[Domain]) -> list[Checked]:
    """Ask each host, one after another; some 10 ms each."""
    entries = [Entry(domain) for domain in domains]
    return [
        Checked(
            entry,
            login=ask_host(entry.domain.domain, entry.login_path),
            health=ask_host(entry.domain.domain, "/healthz"),
        )
        for entry in entries
    ]
