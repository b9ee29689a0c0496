from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import DomainError
from tenants.registry.addresses import url_for_tenant
from tenants.registry.services import OwnerRequest, open_tenant


class Command(BaseCommand):
    help = "Open a tenant: number, schema, host, baseline menu and the owner's account."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="host label, such as acme")
        parser.add_argument("--title", help="what people call it (default: the name)")
        parser.add_argument("--owner", default="owner", help="username of the first account")
        parser.add_argument("--email", default="", help="e-mail address of the owner")
        parser.add_argument("--domain", default="", help="a further host name of its own")
        parser.add_argument(
            "--ask-password", action="store_true", help="ask for a password instead of a link"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        password = getpass.getpass("Password of the owner: ") if options["ask_password"] else ""
        owner = OwnerRequest(options["owner"], email=options["email"], password=password)
        try:
            tenant = open_tenant(
                actor=Actor.system("open_tenant", door=Door.COMMAND),
                name=options["name"],
                title=options["title"] or options["name"],
                owner=owner,
                domain=options["domain"],
            )
        except DomainError as error:
            details = "".join(f"\n  {name}: {text}" for name, text in error.fields.items())
            raise CommandError(error.message + details) from None
        self.stdout.write(f"Tenant {tenant.name} is open: {url_for_tenant(tenant)}")
        self.stdout.write(f"  schema   {tenant.schema_name}")
        self.stdout.write(f"  account  {owner.username}")
        if tenant.set_password_path:
            link = url_for_tenant(tenant, tenant.set_password_path)
            self.stdout.write(f"  password {link} (works once)")
