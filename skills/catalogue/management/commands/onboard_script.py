from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.text import slugify
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import DomainError
from executors.manifest.model import MANIFEST_NAME
from executors.script.bundle import Bundle, BundleError, read_archive, read_bundle
from skills.catalogue.models import Maintainer, Skill
from skills.catalogue.services import onboard_script
from tenants.registry.models import Tenant


class Command(BaseCommand):
    help = "Register a script folder (or zip, tar.gz) as a skill of one tenant and authorise it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="name of the tenant, such as acme")
        parser.add_argument("folder", type=Path, help="script folder, zip or tar.gz")
        parser.add_argument("--name", default="", help="skill name, if not the manifest's")
        parser.add_argument(
            "--public",
            action="store_true",
            help="the platform maintains it: the tenant may grant it, not change it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(name=options["tenant"]).first()
        if tenant is None:
            known = ", ".join(Tenant.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no tenant {options['tenant']}. Known: {known}.")
        source: Path = options["folder"]
        if not source.exists():
            raise CommandError(f"{source} does not exist.")
        try:
            bundle = read_bundle(source) if source.is_dir() else read_archive(source)
            with schema_context(tenant.schema_name):
                version = onboard_script(
                    actor=Actor.system("onboard_script", door=Door.COMMAND),
                    bundle=bundle,
                    name=options["name"] or _name_of(source, bundle),
                    maintainer=Maintainer.PLATFORM if options["public"] else Maintainer.TENANT,
                )
                in_use = Skill.objects.values_list("version_id", flat=True).get(pk=version.skill_id)
                state = "ready" if in_use == version.pk else "registered, not in use"
                self.stdout.write(f"{version} is {state} in {tenant.name} ({bundle.digest[:12]}).")
        except (BundleError, DomainError) as error:
            raise CommandError(str(error)) from None


def _name_of(source: Path, bundle: Bundle) -> str:
    """Return the folder's or archive's name as a slug; '' where a manifest names the skill."""
    if bundle.read(MANIFEST_NAME) is not None:
        return ""
    return slugify(source.resolve().name.split(".")[0].replace("_", "-"))[:60]
