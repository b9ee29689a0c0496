from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import DomainError
from tenants.accounts.models import Account
from tenants.accounts.second_factor.services import reset_second_factor
from tenants.registry.models import Tenant


class Command(BaseCommand):
    help = (
        "Take the second factor away from somebody who lost phone and recovery codes, and end all "
        "sessions and tokens of that account. For super-admins whom no other one can help."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="name of the tenant; admin for the admin host")
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        with schema_context(get_public_schema_name()):
            tenant = Tenant.objects.filter(name=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant named {options['tenant']}.")
        with schema_context(tenant.schema_name):
            account = Account.objects.filter(username__iexact=options["username"]).first()
            if account is None:
                raise CommandError(f"There is no account named {options['username']} there.")
            try:
                reset_second_factor(
                    actor=Actor.system("reset_second_factor", door=Door.COMMAND), account=account
                )
            except DomainError as error:
                raise CommandError(error.message) from None
        self.stdout.write(f"{account.username} logs in with the password alone now.")
