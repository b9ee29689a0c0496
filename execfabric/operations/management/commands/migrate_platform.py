from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from tenants.registry.migrating import migrate_platform


class Command(BaseCommand):
    help = "Create or upgrade the public schema, the template schema and every tenant's schema."

    def handle(self, *args: Any, **options: Any) -> None:
        migrate_platform(self.stdout.write)
        self.stdout.write("Every schema is up to date.")
