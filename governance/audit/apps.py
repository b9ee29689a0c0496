from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditArchivesConfig(AppConfig):
    name = "governance.audit"
    label = "audit_archives"
    verbose_name = _("Audit archives")

    def ready(self) -> None:
        from execfabric.core.archives import own_archives
        from tenants.postgresql.exposure import keep_closed, open_to_tenants

        from . import services as _services  # noqa: F401  # declares its acts
        from .selectors import moved_here

        own_archives(moved_here)
        # A tenant reads where its own events went; only the platform enters an archive.
        open_to_tenants("audit_archives_auditarchive", rows="schema = {tenant}")
        keep_closed("audit_archives_upkeep")
