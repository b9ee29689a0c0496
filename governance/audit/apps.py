from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditArchivesConfig(AppConfig):
    name = "governance.audit"
    label = "audit_archives"
    verbose_name = _("Audit archives")

    def ready(self) -> None:
        from execfabric.core.archives import own_archives
        from tenants.postgresql.exposure import keep_closed, open_to_tenants
        from tenants.registry.erasing.services import on_tenant_erased

        from . import services
        from .selectors import moved_here

        own_archives(moved_here)
        on_tenant_erased(services.forget_upkeep)
        # A tenant reads where its own events went; only the platform enters an archive.
        open_to_tenants("audit_archives_auditarchive", rows="schema = {tenant}")
        keep_closed("audit_archives_upkeep")
