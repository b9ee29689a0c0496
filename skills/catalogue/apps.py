from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CatalogueConfig(AppConfig):
    name = "skills.catalogue"
    label = "catalogue"
    verbose_name = "Skill catalogue"

    def ready(self) -> None:
        from tenants.menu.pages import FormalPage, Host, register_page

        register_page(
            FormalPage(
                route="catalogue:skill-list",
                label=_("Skills"),
                icon="apps",
                host=Host.TENANT,
                permission="catalogue.skill.read",
                position=10,
            )
        )
