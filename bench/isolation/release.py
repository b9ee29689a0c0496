"""Newer versions of the platform, one migration after another, and its commands run with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.execution.target import BenchError

ROOT = Path(__file__).parents[2]
REAL_MIGRATIONS = ROOT / "tenants" / "menu" / "migrations"
TABLE = "menu_menurow"
TIMEOUT_S = 1800.0
MIGRATION = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("menu", "{before}")]
    operations = [
        migrations.AddField("menurow", "{column}", models.CharField(max_length=20, null=True)),
        migrations.AddIndex("menurow", models.Index(fields=["{column}"], name="{column}_index")),
    ]
"""


@dataclass(frozen=True)
class Done:
    """One command that ended; output is standard output, then standard error."""

    code: int
    seconds: float
    output: str

    def must_work(self) -> Done:
        if self.code != 0:
            raise BenchError(f"A command ended with {self.code}:\n{self.output[-2000:]}")
        return self

    @property
    def upgraded(self) -> int:
        return sum(line.startswith("upgraded ") for line in self.output.splitlines())


class Releases:
    """The menu's migrations in a folder of the benchmark's, of which each release adds one.

    It adds a column, which may be empty, and an index on it.
    """

    def __init__(self, folder: Path, owner_url: str) -> None:
        self.owner_url = owner_url
        self.folder = folder / "bench_newer_menu"
        self.folder.mkdir(parents=True)
        for each in (*REAL_MIGRATIONS.glob("0*.py"), REAL_MIGRATIONS / "__init__.py"):
            (self.folder / each.name).write_text(each.read_text(encoding="utf-8"))

    @property
    def latest(self) -> str:
        """Return the name of the newest migration."""
        return max(self.folder.glob("0*.py")).stem

    def add(self) -> str:
        """Make the next version; return the column that it adds, which names the migration too."""
        number = int(self.latest[:4]) + 1
        column = f"bench_{number}"
        text = MIGRATION.format(before=self.latest, column=column)
        (self.folder / f"{number:04}_{column}.py").write_text(text)
        return column

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Python with arguments, in a process group of its own, on the newest version."""
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "bench.isolation.settings",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(self.folder.parent))),
            "PYTHONUNBUFFERED": "1",
        }
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> Done:
        """Run Python with arguments to its end."""
        began_at = time.perf_counter()
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Done(process.returncode, time.perf_counter() - began_at, output)

    def migrate(self, processes: int) -> Done:
        return self.run("manage.py", "migrate_platform", "--processes", str(processes))

    def migrate_and_kill(self, processes: int, is_time: Callable[[int], bool]) -> int:
        """Kill the whole group when so many schemas were upgraded that is_time; return how many."""
        process = self.start("manage.py", "migrate_platform", "--processes", str(processes))
        assert process.stdout is not None
        upgraded = 0
        for line in process.stdout:
            upgraded += line.startswith("upgraded ")
            if is_time(upgraded):
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.communicate()
        return upgraded
