"""Tries every layer of the level ``ns`` on this machine.

``ask_machine`` is called by a worker, ``main`` is what it starts: in a process of its own, since a
process with threads cannot make a user namespace.
"""

# Whatever goes wrong is the answer; children end without cleaning up after their parent:
# ruff: noqa: BLE001

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from executors.script.sandbox import landlock, seccomp
from executors.script.sandbox.kernel import column
from executors.script.sandbox.lockdown import lock_down
from executors.script.sandbox.namespaces import enter_namespaces, prepare_namespaces
from executors.script.sandbox.privileges import forbid_new_privileges
from executors.script.sandbox.view import build_view, enter_root, mount_processes

MARSHAL_VERSION = 4
"""Every Python there is reads it; what we start may be another than ours."""
TIMEOUT_S = 60
NOBODY = 65_534
SHELL = "/bin/sh"
ANSWER_BYTES = 2000
BUBBLEWRAP_STAGE = "executors.script.bubblewrap.stage:BubblewrapStage"
UNSHARED_STAGE = "executors.script.sandbox.unshared:UnsharedStage"
UNSHARED_OWN_USER, UNSHARED_SAME_USER = 3, 6
"""The least versions of Landlock where nothing else stands between runs: files can be cut from 3
on, processes of the same user signalled until 6."""
NEWER_LANDLOCK = "Use a kernel of 6.12 or newer, or of 6.2 with a worker that is root."

WEAKER = "Or choose a weaker level yourself: EXECFABRIC_SANDBOX=process, see docs/isolation.md."
IN_CONTAINER = (
    "In a container, start it with the security options seccomp=unconfined, apparmor=unconfined "
    "and systempaths=unconfined, or run the worker outside of one."
)
SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
)
"""What forbids ordinary users to make namespaces, and what allows it."""


@dataclass(frozen=True)
class Layer:
    """One layer as it was found. A run needs every layer that is ``needed``."""

    name: str
    works: bool
    detail: str = ""
    remedy: str = ""
    """What helps; empty where nothing is missing."""
    needed: bool = True


def ask_machine(command: list[str], plan: dict[str, Any]) -> list[Layer]:
    """Return all layers in the order they are put on, each really tried.

    command: starts ``main``. plan: a view to build, see ``view.build_view``.
    """
    try:
        done = subprocess.run(
            command,
            input=marshal.dumps(plan, MARSHAL_VERSION),
            capture_output=True,
            env={"PATH": os.defpath},
            cwd="/",
            timeout=TIMEOUT_S,
            check=True,
        )
        return [Layer(**found) for found in json.loads(done.stdout)]
    except (OSError, ValueError, TypeError, subprocess.SubprocessError) as error:
        return [Layer("Trying the layers", False, str(error), WEAKER)]


def main() -> None:
    plan = marshal.load(sys.stdin.buffer)  # noqa: S302 - from our own worker
    json.dump([asdict(layer) for layer in try_layers(plan)], sys.stdout)


def try_layers(plan: dict[str, Any]) -> list[Layer]:
    """Return the layers of the level that the plan is of."""
    layers = []
    for name, attempt, remedy in _attempts(plan):
        try:
            layers.append(Layer(name, True, _in_child(attempt)))
        except OSError as error:
            layers.append(Layer(name, False, str(error), remedy))
    return [*layers, own_users()]


Attempt = tuple[str, Callable[[], str], str]
"""Name of a layer, what tries it, what helps."""


def _attempts(plan: dict[str, Any]) -> list[Attempt]:
    kernel = f"Use a newer kernel, 5.13 at least. {WEAKER}"
    processor = ("Processor", _processor, f"The sandbox knows x86_64 and aarch64. {WEAKER}")
    calls = ("seccomp", _seccomp, f"Use a kernel built with CONFIG_SECCOMP_FILTER. {WEAKER}")
    start = f"Start the kernel with landlock among lsm=. {kernel}"
    if plan["stage"] == BUBBLEWRAP_STAGE:
        return [processor, ("Landlock", _landlock, start), calls]
    if plan["stage"] == UNSHARED_STAGE:
        least = UNSHARED_OWN_USER if os.geteuid() == 0 else UNSHARED_SAME_USER
        start = f"Start the kernel with landlock among lsm=. {NEWER_LANDLOCK} {WEAKER}"
        return [
            processor,
            ("Landlock", lambda: _landlock(least), start),
            calls,
            ("All of it around a program", lambda: _start_program(plan), WEAKER),
        ]
    return [
        processor,
        ("Process namespace", lambda: _enter(plan, 0), namespace_remedy()),
        ("Mounts, network, IPC, host name", lambda: _enter(plan, 1), namespace_remedy()),
        ("View of the file system", lambda: _enter(plan, 2), f"{IN_CONTAINER} {WEAKER}"),
        ("View of the processes", lambda: _enter(plan, 3), f"{IN_CONTAINER} {WEAKER}"),
        ("Root of its own", lambda: _enter(plan, 4), f"{IN_CONTAINER} {WEAKER}"),
        ("Landlock", _landlock, start),
        calls,
        ("All of it around a program", lambda: _enter(plan, 5), WEAKER),
    ]


def _in_child(attempt: Callable[[], str]) -> str:
    """Return what attempt returns in a child, which its namespaces end with. Raises OSError."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = f"+{attempt()}"
        except BaseException as error:
            answer = f"-{getattr(error, 'strerror', None) or error}"
        os.write(writer, answer.encode()[:ANSWER_BYTES])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read().decode("utf-8", "replace")
    os.waitpid(pid, 0)
    if not answer.startswith("+"):
        raise OSError(answer[1:] or "it ended without an answer")
    return answer[1:]


def _processor() -> str:
    column()
    return os.uname().machine


def _enter(plan: dict[str, Any], depth: int) -> str:
    prepare_namespaces()
    return _in_child(lambda: _enter_as_first(plan, depth))


def _enter_as_first(plan: dict[str, Any], depth: int) -> str:
    root = plan["root"]
    steps: list[Callable[[], Any]] = [
        enter_namespaces,
        lambda: build_view(plan, os.geteuid(), os.getegid()),
        lambda: mount_processes(root),
        lambda: enter_root(root),
        lambda: _in_child(lambda: _start_program(plan)),
    ]
    for step in steps[:depth]:
        step()
    return "as an ordinary user" if os.geteuid() else "as root"


def _start_program(plan: dict[str, Any]) -> str:
    uid = NOBODY if os.geteuid() == 0 else None
    lock_down(plan["rules"], uid, uid)
    if os.spawnve(os.P_WAIT, SHELL, [SHELL, "-c", ":"], {}) != 0:  # noqa: S606 - nothing parsed
        raise OSError(f"{SHELL} could not be started inside")
    return ""


def _landlock(least: int = landlock.OLDEST) -> str:
    have = landlock.version()
    if have < least:
        raise OSError(f"version {have}, which is not enough; {least} is needed")
    forbid_new_privileges()
    landlock.restrict_files({"/usr": landlock.RUN}, tcp=False)
    parts = {2: "renaming", 3: "truncating", 4: "TCP", 5: "devices", 6: "signals, abstract sockets"}
    missing = [part for since, part in parts.items() if have < since]
    return f"version {have}" + (f", which does not know {', '.join(missing)}" if missing else "")


def _seccomp() -> str:
    forbid_new_privileges()
    instructions = seccomp.build_filter()
    seccomp.restrict_calls(instructions)
    return f"{len(instructions) // 8} instructions"


def own_users() -> Layer:
    if os.geteuid() == 0:
        return Layer("A user id for each run", True, "the worker is root", needed=False)
    return Layer(
        "A user id for each run",
        False,
        "every run has the worker's user id",
        "Only a worker that is root has this layer.",
        needed=False,
    )


def namespace_remedy() -> str:
    if os.geteuid() == 0:
        return f"{IN_CONTAINER} Root also needs the capability SYS_ADMIN there. {WEAKER}"
    switched = [cure for name, value, cure in SWITCHES if _kernel_setting(name) == value]
    cure = f"Allow namespaces to ordinary users: {'; '.join(switched)}. " if switched else ""
    return f"{cure}{IN_CONTAINER} {WEAKER}"


def _kernel_setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
