"""Commands of libraries that would go around the one write path: no event, no check, no end of
sessions. Each is closed by one of the same name, and names what to use instead."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, NoReturn

from django.core.management.base import BaseCommand, CommandError


class ClosedCommand(BaseCommand):
    """Refuses, whatever it is given."""

    instead: ClassVar[str]
    """What to do, as the end of a sentence."""

    def run_from_argv(self, argv: list[str]) -> NoReturn:
        self.stderr.write(self._why(argv[1]))
        sys.exit(1)

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        raise CommandError(self._why(self.__class__.__module__.rpartition(".")[2]))

    def _why(self, name: str) -> str:
        return f"{name} would leave no event in the audit trail. Nothing was done; {self.instead}."
