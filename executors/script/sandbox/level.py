"""The level ``ns``: a run sees neither the machine nor, but through a gate, the network.

This is the worker's part: it says what the stage shall build and checks that this machine can.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from executors.contract import Limits
from executors.script.harness_files import harness
from executors.script.level import IsolationLevel, Job, Network, Places
from executors.script.sandbox import landlock, probe
from executors.script.sandbox.view import DEVICES, JOB, OWN, ROOM, ROOM_FOLDERS

PROBE = "executors.script.sandbox.probe"
STAGE = "executors.script.sandbox.stage:SandboxStage"
CODE = Path(__file__).resolve().parents[3]
SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
SHARED_SETTINGS = (
    "alternatives",
    "fonts",
    "ld.so.cache",
    "mime.types",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "ssl/certs",
)
"""What programs need of /etc and may be seen by everybody."""
OWN_FOLDERS = ["/tmp", OWN, ROOM]  # noqa: S108
"""A run has its own; an interpreter that lies there cannot be part of what is the same for all."""
OWN_FILES = 1 + len(ROOM_FOLDERS) + 1
"""The room, its folders and the progress file count as files, too."""


class NamespaceLevel(IsolationLevel):
    name = "ns"
    hides_machine = True
    can_start_warm = True
    network = Network.GATED

    def __init__(self) -> None:
        super().__init__()
        self._plans: dict[tuple[Path | None, ...], dict[str, Any]] = {}

    def layers(self) -> list[probe.Layer]:
        """Return, layer by layer, what this machine gives. Every layer is really tried."""
        with tempfile.TemporaryDirectory(prefix="execfabric-probe-") as made:
            folder = Path(made)
            (folder / "view").mkdir()
            (folder / "job").mkdir()
            plan = build_plan(
                root=folder / "view",
                job=Job({}, [(folder / "job", "script")], {"input.json": b"{}"}),
                interpreter=[],
                hidden=(CODE,),
                limits=Limits(),
                uid=None,
            )
            return probe.ask_machine(self.python_command(PROBE), plan)

    def places(self, folder: Path) -> Places:
        return Places(Path(JOB), Path(ROOM))

    def plan(
        self, job: Job, state: Path, python: Path | None, limits: Limits, uid: int | None
    ) -> dict[str, Any]:
        root = state / "view"
        root.mkdir(mode=0o755, exist_ok=True)
        plan = self._plans.get((state, python, CODE))
        if plan is None:
            interpreter = list(interpreter_folders(python)) if python else []
            plan = plan_view(root, interpreter, hidden=(CODE, state.parent))
            self._plans[state, python, CODE] = plan
        return fill_plan(plan, job, limits, uid)


def build_plan(
    *,
    root: Path,
    job: Job,
    interpreter: list[Path],
    hidden: tuple[Path, ...],
    limits: Limits,
    uid: int | None,
) -> dict[str, Any]:
    """Return the plan of a view, see ``view.build_view``, and its Landlock rules."""
    return fill_plan(plan_view(root, interpreter, hidden=hidden), job, limits, uid)


def plan_view(root: Path, interpreter: list[Path], *, hidden: tuple[Path, ...]) -> dict[str, Any]:
    """Return what is the same in the plans of all runs with an interpreter."""
    system, links = system_folders()
    elsewhere = [link for link in links if not is_below(os.path.realpath(link), system)]
    rules = dict.fromkeys([*system, *elsewhere, *map(str, interpreter), JOB], landlock.RUN)
    rules |= dict.fromkeys(["/etc", "/proc", OWN], landlock.READ)
    rules |= dict.fromkeys([ROOM, "/tmp"], landlock.USE | landlock.EXECUTE)  # noqa: S108
    rules |= dict.fromkeys([f"/dev/{name}" for name in DEVICES], landlock.DEVICE)
    parts = [[os.path.realpath(path), str(path)] for path in interpreter]
    return {
        "stage": STAGE,
        "root": str(root),
        "folders": ["/etc", OWN, JOB, f"{JOB}/inputs", f"{JOB}/script"],
        "links": links,
        "fixed_texts": _fixed_texts() | {f"{JOB}/{n}": data for n, data in harness().items()},
        "readonly": [[path, path] for path in [*system, *shared_settings()]],
        "hidden": [str(path) for path in hidden if is_below(str(path), system)],
        "interpreter": [part for part in parts if not is_below(part[1], OWN_FOLDERS)],
        "given": [part for part in parts if is_below(part[1], OWN_FOLDERS)],
        "rules": rules,
    }


def fill_plan(plan: dict[str, Any], job: Job, limits: Limits, uid: int | None) -> dict[str, Any]:
    """Return plan with what is one run's own."""
    texts = {f"{JOB}/{name}": data for name, data in job.texts.items()}
    given = [[str(source), f"{JOB}/{name}"] for source, name in job.folders]
    return {
        **plan,
        "texts": _user_texts(os.geteuid() if uid is None else uid) | texts,
        "given": plan["given"] + given,
        "network": job.network,
        "room_bytes": limits.room_bytes,
        "room_files": limits.disk_files + OWN_FILES,
    }


def interpreter_folders(python: Path) -> Iterator[Path]:
    """Yield what a Python consists of outside the system's folders: environment, base, libraries.

    Links are followed one by one, since each may be named in the settings of an environment.
    """
    system, links = system_folders()
    covered = [*system, *links]
    hops = [python.absolute()]
    while hops[-1].is_symlink() and len(hops) < 10:
        target = hops[-1].parent / os.readlink(hops[-1])  # noqa: PTH115 - may be relative
        hops.append(Path(os.path.normpath(target)))
    hops.append(Path(os.path.realpath(python)))
    for hop in dict.fromkeys(hops):
        prefix = hop.parent.parent
        is_environment = (prefix / "pyvenv.cfg").exists()
        parts = [prefix] if is_environment else [prefix / name for name in ("bin", "lib", "lib64")]
        for part in parts:
            if part.is_dir() and not is_below(str(part), covered):
                covered.append(str(part))
                yield part


@cache
def shared_settings() -> tuple[str, ...]:
    return tuple(f"/etc/{name}" for name in SHARED_SETTINGS if Path("/etc", name).exists())


@cache
def system_folders() -> tuple[list[str], dict[str, str]]:
    """Return the system's folders, and links such as /bin with their targets."""
    folders, links = [], {}
    for name in SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            links[str(path)] = str(path.readlink())
        elif path.is_dir():
            folders.append(str(path))
    return folders, links


def _fixed_texts() -> dict[str, bytes]:
    return {
        "/etc/hostname": b"sandbox\n",
        "/etc/hosts": b"127.0.0.1 localhost\n::1 localhost\n",
        "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files dns\n",
        "/etc/resolv.conf": b"",
    }


def _user_texts(uid: int) -> dict[str, bytes]:
    texts = {
        "/etc/group": f"root:x:0:\nrun:x:{uid}:\n",
        "/etc/passwd": f"root:x:0:0::/:/bin/false\nrun:x:{uid}:{uid}::{ROOM}/work:/bin/sh\n",
    }
    return {path: text.encode() for path, text in texts.items()}


def is_below(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
