"""A script that does as it is told, so that rows of one series can do different things."""

from __future__ import annotations

import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors.contract import ExecutionResult
from executors.script.executor import ScriptExecutor
from executors.script.tree import descendants
from tests.executors.conftest import RecordingSink, request_for

DOES_AS_TOLD = """
import os


def main(code: str, inputs: object = None) -> list:
    names = {"inputs": inputs, "answer": None}
    exec(compile(code, "told", "exec"), names)
    made = os.stat("/etc/passwd").st_mtime_ns  # The kernel gives numbers of namespaces again.
    return [f"{os.readlink('/proc/self/ns/pid')} {made}", names["answer"]]
"""
"""Returns where it ran, and what it was told to call ``answer``."""


@dataclass
class Row:
    """How one row ended."""

    result: ExecutionResult
    sink: RecordingSink

    @property
    def place(self) -> str:
        """Which sandbox it had."""
        assert isinstance(self.result.output, list), (self.result, self.sink.text())
        return str(self.result.output[0])

    @property
    def answer(self) -> Any:
        assert isinstance(self.result.output, list), (self.result, self.sink.text())
        return self.result.output[1]

    @property
    def ending(self) -> tuple[object, ...]:
        """All that is told of it but where it ran and what it used."""
        result = self.result
        output = result.output[1] if isinstance(result.output, list) else result.output
        return (
            result.outcome, result.stop_reason, result.exit_code, output, result.summary
            if output is None else "", result.error, result.skipped_artifacts,
            [(file.name, file.sha256) for file in result.artifacts],
            self.sink.text("stdout"), self.sink.text("stderr"), self.sink.progress_lines[-1:],
        )  # fmt: skip


class Rows:
    """Runs rows; those of one call's ``series`` are of one version."""

    def __init__(self, executor: ScriptExecutor, folder: Path) -> None:
        """folder: an empty one, where every user may enter."""
        self.executor = executor
        self.workdirs = folder / "work"
        self.script = folder / "script"
        for each in (self.workdirs, self.script):
            each.mkdir()
        (self.script / "main.py").write_text(DOES_AS_TOLD)

    def __call__(
        self,
        code: str,
        inputs: object = None,
        *,
        series: str = "s",
        tenant: str = "acme",
        sink: RecordingSink | None = None,
        folder: Path | None = None,
        **request: Any,
    ) -> Row:
        """series: empty for a run by itself."""
        told = {"code": textwrap.dedent(code), "inputs": inputs}
        request = {"series": series, "others_follow": True, "inputs": told, **request}
        asked = request_for(folder or self.script, **request)
        asked = asked.model_copy(update={"tenant": tenant})
        sink = sink or RecordingSink()
        workdir = Path(tempfile.mkdtemp(dir=self.workdirs))
        return Row(self.executor.execute(asked, sink, workdir=workdir), sink)


def serving(executor: ScriptExecutor) -> list[int]:
    """Return the processes that serve rows, between rows: no others are locked in then."""
    below = [pid for zygote in executor.zygotes() for pid in descendants(zygote)]
    return [pid for pid in below if "Seccomp:\t2" in _status(pid)]


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""
