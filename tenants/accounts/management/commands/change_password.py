from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from execfabric.core.actor import Actor, Door
from tenants.accounts.services import replace_password

from ..finding import add_account_arguments, asked_password, named_account


class Command(BaseCommand):
    help = (
        "Set the password of an account and end all its sessions and API tokens. Asks for the "
        "password, or reads it by stdin."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_account_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with named_account(options["tenant"], options["username"]) as account:
            replace_password(
                actor=Actor.system("change_password", door=Door.COMMAND),
                account=account,
                password=asked_password(twice=True),
            )
        self.stdout.write(f"{account.username} has another password and is logged out everywhere.")
