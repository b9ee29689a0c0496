from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import DomainError
from governance.http_access.credentials.services import rotate_credential_keys


class Command(BaseCommand):
    help = (
        "Encrypt the credentials of HTTP APIs with the first key of EXECFABRIC_CREDENTIAL_KEYS. "
        "After it the others can be left out."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        actor = Actor.system("rotate_credential_keys", door=Door.COMMAND)
        try:
            count = rotate_credential_keys(actor=actor)
        except DomainError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Encrypted {count} secrets again; all have the newest key now.")
