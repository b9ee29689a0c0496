from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand

from execfabric.operations.demo import seed_demo, write_demo_file


class Command(BaseCommand):
    help = "Make everything `make demo` needs: schemas, static files, accounts, example skills."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate_platform", stdout=self.stdout)
        self._collect_static_files()
        demo_file = Path(os.environ.get("EXECFABRIC_DEMO_FILE", settings.DATA_DIR / "demo.json"))
        write_demo_file(seed_demo(self.stdout.write), demo_file)

    def _collect_static_files(self) -> None:
        """Collect when a source file changed since the last time; it takes seconds otherwise."""
        stamp = Path(settings.STATIC_ROOT) / ".collected"
        state = hashlib.sha256()
        for finder in get_finders():
            for name, storage in finder.list([]):
                status = Path(storage.path(name)).stat()
                state.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
        if stamp.exists() and stamp.read_text() == state.hexdigest():
            return
        self.stdout.write("collecting static files")
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(state.hexdigest())
