"""The stage of the level ``bwrap``: starts bubblewrap, and through it process 1 of the run."""

# pathlib and contextlib would cost every run their import; whatever goes wrong must be reported:
# ruff: noqa: BLE001, PTH100, PTH120, PTH123, S108

from __future__ import annotations

import io
import marshal
import os
import time
import zipfile

from executors.script.sandbox.stage import SandboxStage
from executors.script.sandbox.view import DEVICES, LINKS, ROOM
from executors.script.stage import KILL_PATIENCE_S, SANDBOX_FAILED, START_FAILED
from executors.script.tree import descendants, send

TYPE_CHECKING = False  # As in typing, whose import would cost every run.
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal

BOOT = (
    "import sys; sys.path.append('/proc/self/fd/' + sys.argv[1]); "
    "from executors.script.bubblewrap.inside import main; main()"
)
NAMESPACES = ("pid", "net", "ipc", "uts")
NEEDED_BY_ROOT = ("CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETPCAP", "SETUID", "SYS_RESOURCE")
"""What process 1 needs to make the script another user; bubblewrap keeps none for root."""
MARSHAL_VERSION = 4
PACKAGES = ("executors/script/bubblewrap", "executors/script/sandbox")
MODULES = (
    "bubblewrap/inside",
    "sandbox/kernel",
    "sandbox/landlock",
    "sandbox/limits",
    "sandbox/lockdown",
    "sandbox/namespaces",
    "sandbox/privileges",
    "sandbox/seccomp",
    "sandbox/stage",
    "sandbox/view",
    "stage",
    "tree",
)
"""What ``inside.py`` imports."""


class BubblewrapStage(SandboxStage):
    """As ``SandboxStage``; between it and process 1 stands the program that made the view."""

    def prepare(self) -> None:
        """Nothing: bubblewrap makes the namespaces."""

    def become_child(self, problem_fd: int) -> None:
        """Turn into bubblewrap. Never returns."""
        try:
            os.close(self.lifeline_held)
            signal.set_wakeup_fd(-1)
            self.join_memory_group(os.getpid())
            plan = self.order["sandbox"]
            code, order = (
                write_file(pack_code()),
                write_file(marshal.dumps(self.order, MARSHAL_VERSION)),
            )
            passed = [code, order, self.report_fd, self.out_fd, self.err_fd, problem_fd,
                      self.lifeline, self.status_writer]  # fmt: skip
            arguments = arguments_of(plan)
            for path, data in (plan["fixed_texts"] | plan["texts"]).items():
                text = write_file(data)
                os.set_inheritable(text, True)
                arguments += ["--perms", "0644", "--ro-bind-data", str(text), path]
            for source, target in plan["interpreter"] + plan["given"]:
                arguments += [*make_parents(target), "--ro-bind", source, target]
            arguments += ["--remount-ro", "/"]
            for descriptor in passed:
                os.set_inheritable(descriptor, True)
            python = [plan["python"], "-I", "-S", "-B", "-c", BOOT]
            command = [plan["program"], *arguments, "--", *python, *map(str, passed)]
            os.execve(command[0], command, dict(os.environ))  # noqa: S606
        except BaseException as error:
            os.write(problem_fd, f"{SANDBOX_FAILED}{error}"[:2000].encode())
        finally:
            os._exit(START_FAILED)

    def guard(self) -> int | None:
        """Return process 1 of the run; None when it has ended."""
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/children", "rb") as stream:
                children = stream.read().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def processes(self) -> list[int]:
        guard = self.guard()
        return [] if guard is None else descendants(guard)

    def network_of(self) -> int:
        return self.guard() or self.pid

    def kill_all(self) -> int:
        """Kill all processes below us, bubblewrap and process 1 included."""
        patience = time.monotonic() + KILL_PATIENCE_S
        while self.reap():
            for pid in descendants(os.getpid()):
                send(pid, signal.SIGKILL)
            if time.monotonic() > patience:
                return len(descendants(os.getpid()))
            time.sleep(0.002)
        return 0


def arguments_of(plan: dict[str, Any]) -> list[str]:
    """Return what bubblewrap is told of namespaces and of what is the same for all runs."""
    arguments = [f"--unshare-{name}" for name in NAMESPACES]
    arguments += ["--unshare-cgroup-try", "--hostname", "sandbox", "--die-with-parent"]
    arguments += ["--as-pid-1"]
    if os.geteuid() == 0:
        for name in NEEDED_BY_ROOT:
            arguments += ["--cap-add", f"CAP_{name}"]
    else:
        arguments += ["--unshare-user"]
    arguments += ["--proc", "/proc", "--dir", "/dev"]
    for name in DEVICES:
        arguments += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for path, target in {**LINKS, "/tmp": f"{ROOM}/tmp", **plan["links"]}.items():
        arguments += ["--symlink", target, path]
    for path in plan["folders"]:
        arguments += ["--perms", "0755", "--dir", path]
    for source, target in plan["readonly"]:
        arguments += [*make_parents(target), "--ro-bind", source, target]
    for path in plan["hidden"]:
        arguments += ["--perms", "0755", "--tmpfs", path]
    size = str(plan["room_bytes"])
    return [*arguments, "--perms", "0755", "--size", size, "--tmpfs", ROOM]


def make_parents(path: str) -> list[str]:
    """Return arguments that make the folders above path, which else are closed to other users."""
    parts = path.split("/")[1:-1]
    folders = ["/" + "/".join(parts[: end + 1]) for end in range(len(parts))]
    return [word for folder in folders for word in ("--perms", "0755", "--dir", folder)]


def write_file(data: bytes) -> int:
    """Return an open file that holds data and lies nowhere; read from its start."""
    descriptor = os.memfd_create("sandbox")
    with open(descriptor, "wb", closefd=False) as stream:
        stream.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def pack_code() -> bytes:
    """Return the modules that process 1 needs as an archive: the platform's folder is not shown."""
    script = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for package in ("executors", "executors/script", *PACKAGES):
            archive.writestr(f"{package}/__init__.py", "")
        for module in MODULES:
            archive.write(f"{script}/{module}.py", f"executors/script/{module}.py")
    return packed.getvalue()
