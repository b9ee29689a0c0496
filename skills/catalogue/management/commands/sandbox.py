from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from executors.contract import ExecutorError
from executors.registry import EXECUTORS
from executors.script import memory_group
from executors.script.levels import LEVELS, level_named


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Say what isolation of scripts this machine gives. To be called as the worker's user."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["check"])
        parser.add_argument(
            "--level", choices=sorted(LEVELS), default=settings.SANDBOX,
            help="another level than EXECFABRIC_SANDBOX",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        level = options["level"]
        layers = [*level_named(level).layers(), memory_group.layer()]
        width = max(len(layer.name) for layer in layers)
        for layer in layers:
            answer = "yes" if layer.works else "NO " if layer.needed else "no "
            self.stdout.write(f"{answer}  {layer.name:{width}}  {layer.detail}".rstrip())
            if layer.remedy:
                self.stdout.write(f"     {layer.remedy}")
        if any(layer.needed and not layer.works for layer in layers):
            raise CommandError(f"This machine does not give the isolation {level!r}.")
        if level == settings.SANDBOX:
            try:
                EXECUTORS.get("script").check()
            except ExecutorError as error:
                raise CommandError(str(error)) from None
        self.stdout.write(f"This machine gives the isolation {level!r}.")
