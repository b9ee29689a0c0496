from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import DomainError
from governance.http_access.credentials.services import rotate_credential_keys
from tenants.accounts.second_factor.services import rotate_second_factor_keys
from tenants.registry.models import Tenant


class Command(BaseCommand):
    help = (
        "Encrypt the credentials of HTTP APIs, and the second factors of all accounts, with the "
        "first key of EXECFABRIC_CREDENTIAL_KEYS. After it the others can be left out."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with schema_context(get_public_schema_name()):
                actor = Actor.system("rotate_credential_keys", door=Door.COMMAND)
                count = rotate_credential_keys(actor=actor)
                schemas = list(Tenant.objects.values_list("schema_name", flat=True))
            for schema in schemas:
                with schema_context(schema):
                    count += rotate_second_factor_keys(
                        actor=Actor.system("rotate_credential_keys", door=Door.COMMAND)
                    )
        except DomainError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Encrypted {count} secrets again; all have the newest key now.")
