from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from execfabric.core.errors import DomainError
from tenants.registry.migrating import migrate_platform


class Command(BaseCommand):
    help = "Create or upgrade the public schema, the template and every tenant's schema and role."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--processes", type=int, default=0, help="so many at once (default: one a processor)"
        )

        parser.add_argument(
            "--keep-going",
            action="store_true",
            help="end with 0 although some tenants could not be upgraded: the others can work",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            failures = migrate_platform(self.stdout.write, processes=options["processes"])
        except DomainError as error:
            raise CommandError(error.message) from None
        if failures:
            lines = "".join(f"\n  {failure.schema}: {failure.reason}" for failure in failures)
            told = (
                f"{len(failures)} schemas could not be upgraded; all others are.{lines}\n"
                "Mend what it says, then run this again."
            )
            if not options["keep_going"]:
                raise CommandError(told)
            self.stderr.write(told)
            return
        self.stdout.write("Every schema is up to date.")
