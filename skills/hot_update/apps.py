from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

OWN = "tenant_id IN (SELECT id FROM registry_tenant WHERE schema_name = {tenant})"
# ruff: noqa: S608 - conditions made of constants
OF_OWN_SUBMISSION = f"submission_id IN (SELECT id FROM hot_update_submission WHERE {OWN})"
OF_OWN_REVISION = f"revision_id IN (SELECT id FROM hot_update_revision WHERE {OF_OWN_SUBMISSION})"


class HotUpdateConfig(AppConfig):
    name = "skills.hot_update"
    label = "hot_update"
    verbose_name = _("Hot update")

    def ready(self) -> None:
        from tenants.menu.pages import FormalPage, Host, register_page
        from tenants.postgresql.exposure import keep_closed, open_to_tenants
        from tenants.registry.erasing.services import on_tenant_erased

        from . import sweeping as _sweeping  # noqa: F401  # declare their acts
        from .publishing import services as _publishing  # noqa: F401
        from .publishing import tasks as _tasks  # noqa: F401  # Celery looks for tasks.py only
        from .recalling import services as _recalling  # noqa: F401
        from .reviewing import services as _reviewing  # noqa: F401
        from .submitting import services  # declares its acts, which the trail names

        on_tenant_erased(services.delete_submissions)
        # A tenant reads what it submitted and what was said about it; the platform writes.
        open_to_tenants("hot_update_submission", rows=OWN)
        open_to_tenants("hot_update_revision", rows=OF_OWN_SUBMISSION)
        open_to_tenants("hot_update_review", rows=OF_OWN_REVISION)
        open_to_tenants("hot_update_remark", rows=OF_OWN_REVISION)
        # Its log and report may name what else the platform holds.
        keep_closed("hot_update_publicationstep")
        keep_closed("hot_update_recall")
        register_page(
            FormalPage(
                route="submissions:submission-list",
                label=_("Submissions"),
                icon="send",
                host=Host.TENANT,
                permission="hot_update.submission.read",
                position=30,
            )
        )
