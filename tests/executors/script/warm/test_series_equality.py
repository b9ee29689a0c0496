"""A script finds the same in a row as in a run by itself, but for what is listed here."""

from __future__ import annotations

from typing import Any

import pytest

from tests.executors.script.warm.rows import Rows
from tests.executors.script.warm.test_equivalence import STATE

MORE = """
import ctypes, fcntl, resource
found = {
    "limits": [resource.getrlimit(number) for number in range(16)],
    "descriptors": {
        number: [os.readlink(f"/proc/self/fd/{number}").split(":")[0],
                 fcntl.fcntl(int(number), fcntl.F_GETFL), os.get_inheritable(int(number))]
        for number in os.listdir("/proc/self/fd") if int(number) < 3
    },
    "opened": len(os.listdir("/proc/self/fd")) - 1,
    "umask": os.umask(0o77), "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    "parent death": ctypes.CDLL(None).prctl(2, ctypes.byref(ctypes.c_int()), 0, 0, 0),
    "group": os.getpgid(0) == os.getsid(0) == os.getpid(),
    "scheduling": [os.sched_getscheduler(0), os.getpriority(0, 0), len(os.sched_getaffinity(0))],
    "timers": [signal.getitimer(which) for which in range(3)], "alarm": signal.alarm(0),
    "pending": list(signal.sigpending()), "tty": [os.isatty(number) for number in range(3)],
    "folders": {
        path: [oct(os.stat(path).st_mode), os.listdir(path), os.listxattr(path)]
        for path in ("/room", "/room/work", "/room/tmp", "/room/output", "/room/shm", "/tmp",
                     "/dev/shm", "/job")
    },
    "shared memory": [line for line in open("/proc/self/maps") if line.split()[1][1::2] == "ws"],
    "seen processes": [name for name in os.listdir("/proc") if name != str(os.getpid())],
    "owners": [os.stat(path).st_uid == os.getuid() for path in ("/room/work", "/job")],
}
answer = {**main(), **found}
"""
DIFFERENT = {
    "limits": "the process that serves rows counts for the limit of processes, which is one more",
    "session": "its parent is in its process namespace; its own id tells how many were before",
    "status": "of its ids of processes, too",
    "threads": "of its id of a thread, too",
}


def without_known(found: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in found.items() if name not in DIFFERENT}


def test_it_is_the_same_but_for_these(rows: Rows) -> None:
    code = STATE + MORE
    alone = rows(code, series="").answer
    first, second, third = (rows(code).answer for _ in range(3))

    for found in (first, second, third):
        assert without_known(found) == without_known(alone)
        differences = [
            number
            for number, limits in enumerate(found["limits"])
            if limits != alone["limits"][number]
        ]
        assert differences == [6]  # RLIMIT_NPROC
        assert found["session"][0] is alone["session"][0] is True
        assert [s for s in found["status"] if not s.startswith(("NS", "Uid", "Gid"))] == [
            s for s in alone["status"] if not s.startswith(("NS", "Uid", "Gid"))
        ]


@pytest.mark.parametrize(
    "code",
    [
        "import random\nanswer = random.random()",
        "import tempfile\nanswer = tempfile.mktemp()",
        "import os\nanswer = os.urandom(8).hex()",
        "import uuid\nanswer = str(uuid.uuid4())",
        "import ssl\nanswer = ssl.RAND_bytes(8).hex()",
    ],
)
def test_no_two_rows_draw_the_same(rows: Rows, code: str) -> None:
    assert len({rows(code).answer for _ in range(4)}) == 4


CALLS = """
import os, signal, socket, subprocess, sys, threading

def tried(call, *arguments):
    try:
        found = call(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return repr(found)

for name in ("a", "d", "output"):
    os.makedirs(name)
for name in ("x", "y", "z", "a/x", "a/y", "tmp"):
    open(name, "w").close()
child = subprocess.Popen(["sleep", "20"])
mine = socket.socket(socket.AF_UNIX)
mine.bind("\\0mine")
mine.listen()
answer = {
    "rename": tried(os.rename, "x", "renamed"), "into": tried(os.rename, "y", "d/y"),
    "out": tried(os.rename, "a/x", "/room/output/x"), "link": tried(os.link, "a/y", "d/linked"),
    "folder": tried(os.rename, "d", "/room/shm/d"), "replace": tried(os.replace, "a/y", "z"),
    "to tmp": tried(os.rename, "z", "/tmp/z"), "symlink": tried(os.symlink, "z", "s"),
    "fifo": tried(os.mkfifo, "f"), "device": tried(os.mknod, "n", 0o20600, 0x103),
    "truncate": tried(os.truncate, "renamed", 5), "program": tried(os.chmod, "renamed", 0o755),
    "signal": tried(child.send_signal, signal.SIGTERM), "its end": tried(child.wait),
    "limits of a child": tried(lambda: subprocess.run(["sh", "-c", "ulimit -n 20"]).returncode),
    "group": tried(lambda: subprocess.run(["true"], process_group=0).returncode),
    "connect": tried(socket.socket(socket.AF_UNIX).connect, "\\0mine"),
    "connect elsewhere": tried(socket.socket(socket.AF_UNIX).connect, "\\0other"),
    "tcp": tried(socket.create_connection, ("127.0.0.1", 1), 1), "sid": tried(os.setsid),
    "listen": tried(lambda: socket.create_server(("127.0.0.1", 0)).close()),
    "shell": tried(lambda: subprocess.check_output("pwd; ls /; umask", shell=True)[-60:]),
    "python": tried(lambda: subprocess.check_output([sys.executable, "-c", "print(1)"])),
    "signal 1": tried(os.kill, 1, 9), "up": tried(os.open, "/room/more", os.O_CREAT | os.O_RDWR),
    "pool": tried(lambda: __import__("multiprocessing").get_context("fork").Pool(1).map(len, [""])),
    "shared": tried(lambda: __import__("multiprocessing").shared_memory and 1),
    "lock": tried(lambda: __import__("multiprocessing").Lock().acquire()),
}
"""


def test_what_it_tries_works_as_in_a_run_by_itself(rows: Rows) -> None:
    alone = rows(CALLS, series="").answer

    for _ in range(2):
        assert rows(CALLS).answer == alone
    assert {alone[name] for name in ("into", "out", "link", "folder", "replace")} == {"None"}
