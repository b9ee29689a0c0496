from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BatchesConfig(AppConfig):
    name = "skills.batches"
    label = "batches"
    verbose_name = "Batches"

    def ready(self) -> None:
        from execfabric.core.actor import Door
        from skills.catalogue.skill_links import SkillLink, offer_link
        from skills.executions.hooks import Owner, own_door
        from tenants.menu.pages import FormalPage, Host, register_page

        from . import lifecycle, origins

        own_door(
            Door.BATCH,
            Owner(
                finished=lifecycle.rows_ended,
                scan=lifecycle.scan_batches,
                origin_of=origins.origin_of,
            ),
        )
        offer_link(
            SkillLink(
                label=_("Run many"),
                icon="stack-2",
                url_of=origins.new_batch_of,
                shown_to=origins.may_begin,
            )
        )
        register_page(
            FormalPage(
                route="batches:batch-list",
                label=_("Batches"),
                icon="stack-2",
                host=Host.TENANT,
                permission="batches.batch.read",
                position=30,
            )
        )
