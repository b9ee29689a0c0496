"""The stage of the level ``ll``: the layers a process puts on itself, and no namespaces.

For machines that forbid namespaces. The script sees the machine's folders and processes, and may
open only what Landlock grants; it can make no sockets.
"""

# pathlib would cost every run its import:
# ruff: noqa: PTH120

from __future__ import annotations

import os

from executors.script.sandbox import landlock, seccomp
from executors.script.sandbox.kernel import PR_SET_PDEATHSIG, prctl
from executors.script.sandbox.lockdown import lock_down
from executors.script.stage import SANDBOX_FAILED, START_FAILED, Stage

TYPE_CHECKING = False  # As in typing, whose import would cost every run.
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

GIVEN = ("script", "inputs", "input.json", "harness.py", "harness.bin")
OWN = ("work", "tmp", "output", "report")


class UnsharedStage(Stage):
    """One run without namespaces; ``order["sandbox"]["rules"]`` are Landlock's for the machine."""

    def become_child(self, problem_fd: int) -> None:
        try:
            self.join_memory_group(os.getpid())
        except OSError as error:
            os.write(problem_fd, f"{SANDBOX_FAILED}{error}"[:2000].encode())
            os._exit(START_FAILED)
        self.become_script(problem_fd)

    def drop_rights(self) -> None:
        """Last before the script's program. Whatever this raises, no script runs."""
        run = os.path.dirname(self.order["cwd"])
        rules = self.order["sandbox"]["rules"]
        rules |= {f"{run}/{name}": landlock.RUN for name in GIVEN}
        rules |= {f"{run}/{name}": landlock.USE | landlock.EXECUTE for name in OWN}
        # Nobody else's, not even those of this process before it became the script.
        rules[f"/proc/{os.getpid()}"] = landlock.READ
        lock_down(rules, self.order["uid"], self.order["gid"], instructions=self.filter())
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(START_FAILED)

    def filter(self) -> bytes:
        """Return the filter of system calls. Whoever stays the worker's user owns its files."""
        return seccomp.build_filter(
            families=(), keeps_files_as_they_are=self.order["uid"] is None, sees_others=True
        )
