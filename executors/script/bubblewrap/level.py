"""The worker's part of the level ``bwrap``: whether bubblewrap is there, and what it shall show."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from executors.contract import Limits
from executors.script.bubblewrap.stage import arguments_of
from executors.script.level import Job, Network
from executors.script.sandbox import probe
from executors.script.sandbox.level import (
    CODE,
    PROBE,
    NamespaceLevel,
    build_plan,
    interpreter_folders,
)

PROGRAM = "bwrap"
INSTALL = (
    "Install it where the worker's PATH leads (the package is called bubblewrap), or use "
    "EXECFABRIC_SANDBOX=ns, which needs no package."
)
TIMEOUT_S = 30


class BubblewrapLevel(NamespaceLevel):
    name = "bwrap"
    can_start_warm = False
    network = Network.NONE

    def layers(self) -> list[probe.Layer]:
        program = shutil.which(PROGRAM)
        if program is None:
            return [probe.Layer("bubblewrap", False, "there is no program bwrap", INSTALL)]
        plan = self._plan(Path("/"), Job({}), None, Limits(), None)
        trial = [program, *arguments_of(plan), "--", "/bin/sh", "-c", ":"]
        rest = probe.ask_machine(self.python_command(PROBE), plan)
        return [
            _answer("bubblewrap", [program, "--version"], INSTALL),
            _answer("Namespaces and view", trial, f"{probe.namespace_remedy()} {INSTALL}"),
            *rest,
        ]

    def plan(
        self, job: Job, state: Path, python: Path | None, limits: Limits, uid: int | None
    ) -> dict[str, Any]:
        return self._plan(state, job, python, limits, uid)

    def _plan(
        self, state: Path, job: Job, python: Path | None, limits: Limits, uid: int | None
    ) -> dict[str, Any]:
        own = Path(getattr(sys, "_base_executable", None) or sys.executable)
        folders = dict.fromkeys(interpreter_folders(own))
        folders |= dict.fromkeys(interpreter_folders(python) if python else ())
        plan = build_plan(
            root=state / "view",
            job=job,
            interpreter=list(folders),
            hidden=(CODE, state.parent),
            limits=limits,
            uid=uid,
        )
        program = shutil.which(PROGRAM) or PROGRAM
        return {**plan, "stage": probe.BUBBLEWRAP_STAGE, "program": program, "python": str(own)}


def _answer(name: str, command: list[str], remedy: str) -> probe.Layer:
    """Return a layer that is there when command succeeds."""
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
            env={"PATH": os.defpath},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return probe.Layer(name, False, str(error), remedy)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        return probe.Layer(name, False, said or f"exit code {done.returncode}", remedy)
    return probe.Layer(name, True, done.stdout.decode("utf-8", "replace").strip())
