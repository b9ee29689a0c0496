from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import DomainError
from executors.contract import ExecutorError
from executors.manifest import load_resource_manifest
from skills.catalogue.described import README
from skills.catalogue.services import register_skill
from tenants.registry.models import Tenant


class Command(BaseCommand):
    help = "Register a skill of a kind other than script, described by skill.toml, in one tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="name of the tenant, such as acme")
        parser.add_argument("folder", type=Path, help="folder with skill.toml and README.md")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(name=options["tenant"]).first()
        if tenant is None:
            known = ", ".join(Tenant.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no tenant {options['tenant']}. Known: {known}.")
        folder: Path = options["folder"]
        try:
            manifest = load_resource_manifest(folder)
            readme = folder / README
            with schema_context(tenant.schema_name):
                version = register_skill(
                    actor=Actor.system("register_skill", door=Door.COMMAND),
                    manifest=manifest,
                    readme=readme.read_text(encoding="utf-8") if readme.is_file() else "",
                )
                self.stdout.write(f"{version} is ready in {tenant.name} (kind {version.kind}).")
        except (ExecutorError, DomainError) as error:
            raise CommandError(str(error)) from None
