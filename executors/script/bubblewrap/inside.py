"""Process 1 of a run in the view that bubblewrap made. Its code comes in a file without a name."""

# Whatever goes wrong must be reported; pathlib would cost every run its import:
# ruff: noqa: BLE001, PTH102, PTH123

from __future__ import annotations

import marshal
import os
import sys

from executors.script.sandbox import seccomp
from executors.script.sandbox.kernel import PR_SET_PDEATHSIG, prctl
from executors.script.sandbox.lockdown import lock_down
from executors.script.sandbox.stage import SandboxStage
from executors.script.sandbox.view import ROOM, ROOM_FOLDERS
from executors.script.stage import SANDBOX_FAILED, START_FAILED

TYPE_CHECKING = False  # As in typing, whose import would cost every run.
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal


class Inside(SandboxStage):
    """What ``SandboxStage.become_child`` does after the view is built."""

    def guard_script(self, problem_fd: int) -> None:
        os.umask(0o022)
        for name in ROOM_FOLDERS:
            os.mkdir(f"{ROOM}/{name}", 0o700)
            os.chown(f"{ROOM}/{name}", *self.owner())
        self.hand_out_room()
        pid = os.fork()
        if pid == 0:
            self.become_script(problem_fd)
        self.become_guard()
        self.wait_for(pid)

    def drop_rights(self) -> None:
        order = self.order
        # Bubblewrap always starts the loopback, whose buffers nothing here bounds.
        instructions = seccomp.build_filter(families=(seccomp.UNIX,))
        lock_down(
            order["sandbox"]["rules"], order["uid"], order["gid"], instructions=instructions
        )  # fmt: skip


def main() -> None:
    code, order_file, report, out, err, problem, lifeline, status = map(int, sys.argv[1:])
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with open(order_file, "rb") as stream:
            order = marshal.load(stream)  # noqa: S302 - from our own stage
        sys.path.pop()
        os.close(code)
        inside = Inside(order, -1, report, out, err)
        inside.lifeline, inside.status_writer = lifeline, status
        inside.guard_script(problem)
    except BaseException as error:
        os.write(problem, f"{SANDBOX_FAILED}{error}"[:2000].encode())
    finally:
        os._exit(START_FAILED)
