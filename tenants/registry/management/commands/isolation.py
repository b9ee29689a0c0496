from __future__ import annotations

from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser

from execfabric.core.errors import DomainError
from tenants.postgresql.inspection import CATALOGUE, inspect_isolation, schemas_to_repair
from tenants.postgresql.owner import as_owner
from tenants.postgresql.probing import probe_isolation
from tenants.postgresql.repairing import repair_shared_roles, repair_tenant_roles
from tenants.registry.selectors import customer_schemas

SHOWN = 10
"""Problems of one question that are printed one by one."""


class Command(BaseCommand):
    help = "Check that the database keeps tenants apart, or repair the roles and rights for it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["check", "repair"])

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with as_owner():
                if options["what"] == "repair":
                    self._repair()
                self._check()
        except DomainError as error:
            raise CommandError(error.message) from None

    def _repair(self) -> None:
        left = repair_shared_roles()
        schemas = schemas_to_repair(customer_schemas())
        repair_tenant_roles(schemas)
        self.stdout.write(f"Repaired: the shared roles, and those of {len(schemas)} tenants.")
        if left:
            self.stdout.write("The owner is no superuser. Have one run this in the database once:")
            self.stdout.write("\n".join(f"  {statement};" for statement in left))

    def _check(self) -> None:
        schemas = customer_schemas()
        failed = 0
        for answer in inspect_isolation(schemas):
            failed += bool(answer.problems)
            self._tell(answer.title, answer.problems)
            if answer.problems and answer.title == CATALOGUE:
                self.stdout.write("      Only a superuser can close it; repair prints how.")
        if len(schemas) > 1:
            failed += self._probe(*schemas[:2])
        else:
            self.stdout.write("There are no two tenants yet to try it on.")
        if failed:
            raise CommandError(
                f"{failed} points are not as promised. Run: manage.py isolation repair"
            )
        self.stdout.write(f"{len(schemas)} tenants are kept apart as promised.")

    def _probe(self, own: str, other: str) -> int:
        """Try it, and return how many attempts went wrong."""
        failed = 0
        try:
            for what, problem in probe_isolation(own, other):
                failed += bool(problem)
                self._tell(f"A tenant cannot {what}", (problem,) if problem else ())
        except psycopg.Error as error:
            self._tell("The login can take a tenant's role", (str(error).splitlines()[0],))
            failed += 1
        return failed

    def _tell(self, title: str, problems: tuple[str, ...]) -> None:
        self.stdout.write(f"{'FAIL' if problems else 'ok':4}  {title}")
        for problem in problems[:SHOWN]:
            self.stdout.write(f"      {problem}")
        if len(problems) > SHOWN:
            self.stdout.write(f"      … and {len(problems) - SHOWN} more")
