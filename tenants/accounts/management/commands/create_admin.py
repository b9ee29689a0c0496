from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import DomainError
from tenants.accounts.services import create_account

from ..finding import asked_password, in_full


class Command(BaseCommand):
    help = "Create a super-admin of the public domain. Asks for the password, or reads it by stdin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--display-name", default="", help="what pages call the person")
        parser.add_argument("--email", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        password = asked_password()
        try:
            with schema_context(get_public_schema_name()):
                account = create_account(
                    actor=Actor.system("create_admin", door=Door.COMMAND),
                    username=options["username"],
                    display_name=options["display_name"],
                    email=options["email"],
                    roles=frozenset(),
                    password=password,
                    is_platform_admin=True,
                )
        except DomainError as error:
            raise CommandError(in_full(error)) from None
        self.stdout.write(f"{account.username} can log in on the admin host.")
