from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from execfabric.core.memory import give_back_in_background, keep_loaded
from execfabric.core.presence import leave, own_presence, tell
from executors.contract import ExecutorError
from skills.executions.queue import DEFAULT_QUEUE
from skills.executions.worker import Worker

SIGN_EVERY_S = 5.0
QUEUE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Command(BaseCommand):
    help = "Carry out queued executions until stopped. Start as many on as many hosts as needed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--slots",
            type=int,
            default=2 * (os.cpu_count() or 1),
            help="Executions at once (default: two for each processor).",
        )
        parser.add_argument(
            "--queues",
            default=DEFAULT_QUEUE,
            help="Labels this worker serves, separated by commas; a skill names one as `queue`.",
        )
        parser.add_argument(
            "--grace",
            type=float,
            default=settings.DRAIN_S,
            metavar="SECONDS",
            help="How long executions may go on after the worker was asked to stop "
            "(default: EXECFABRIC_DRAIN_S, now %(default)s).",
        )
        parser.add_argument(
            "--sign-of-life",
            type=Path,
            metavar="FILE",
            help="A file to touch once executions are taken, and then every few seconds.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        queues = [name.strip() for name in options["queues"].split(",") if name.strip()]
        odd = [name for name in queues if not QUEUE.fullmatch(name)]
        if odd or not queues:
            raise CommandError(f"--queues takes names such as {DEFAULT_QUEUE},gpu; not {odd}.")
        if options["slots"] < 1:
            raise CommandError("--slots must be 1 at least.")
        worker = Worker(queues, slots=options["slots"], drain_s=options["grace"])
        asked_to_stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: asked_to_stop.set())
        try:
            worker.start()
        except ExecutorError as error:
            raise CommandError(f"The worker does not start: {error}") from None
        keep_loaded()
        give_back_in_background()
        presence = own_presence(does="runs", queues=tuple(queues), slots=options["slots"])
        while worker.is_well():
            if options["sign_of_life"] is not None:
                options["sign_of_life"].parent.mkdir(parents=True, exist_ok=True)
                options["sign_of_life"].touch()
            tell(presence, busy=worker.busy)
            if asked_to_stop.wait(SIGN_EVERY_S):
                break
        worker.stop()
        leave(presence)
