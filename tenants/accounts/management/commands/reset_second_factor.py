from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from execfabric.core.actor import Actor, Door
from tenants.accounts.second_factor.services import reset_second_factor

from ..finding import add_account_arguments, named_account


class Command(BaseCommand):
    help = (
        "Take the second factor away from somebody who lost phone and recovery codes, and end all "
        "sessions and tokens of that account. For super-admins whom no other one can help."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_account_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with named_account(options["tenant"], options["username"]) as account:
            reset_second_factor(
                actor=Actor.system("reset_second_factor", door=Door.COMMAND), account=account
            )
        self.stdout.write(f"{account.username} logs in with the password alone now.")
