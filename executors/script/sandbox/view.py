"""What a run sees of the file system: a few read-only folders of the machine and one of its own.

The worker plans it (``level.py``), the stage builds it. Everything is a mount in the run's own
namespace, so nothing of it is seen outside, and all of it is gone with the last process.
"""

from __future__ import annotations

import os
import struct

from executors.script.sandbox.kernel import LIBC, call, check, mount

TYPE_CHECKING = False  # As in typing, whose import would cost every run.
if TYPE_CHECKING:
    from typing import Any

# pathlib would cost every run its import:
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH120, PTH211
# ruff: noqa: S108 - /tmp is that of the sandbox

READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8
BIND, RECURSIVE, PRIVATE = 4096, 16384, 1 << 18
DETACH = 2
AT_FDCWD = -100
AT_RECURSIVE = 0x8000
CURRENT = (1 << 64) + AT_FDCWD

JOB = "/job"
"""What the run was given: script, inputs, harness. Read-only."""
ROOM = "/room"
"""What the run writes; ``/tmp`` and ``/dev/shm`` lie in it, too."""
ROOM_FOLDERS = ("work", "tmp", "output", "report", "shm")
DEVICES = ("null", "zero", "full", "random", "urandom")
LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/shm": f"{ROOM}/shm",
}
SKELETON_BYTES = 1024 * 1024
"""Besides the texts in it."""
SKELETON_OPTIONS = "nr_inodes=1k,mode=755"
PROC_OPTIONS = "subset=pid,hidepid=invisible"


def build_view(plan: dict[str, Any], uid: int, gid: int) -> None:
    """Build the root a run is to have. The calling process has a mount namespace of its own.

    plan: ``root`` an empty folder to build on; ``folders`` and ``links`` to make; ``texts`` path ->
    bytes; ``readonly`` [source, target] pairs, then ``hidden`` folders to cover, then
    ``readonly_late``, which may lie in those; ``room_bytes`` and ``room_files`` bounds of what the
    run may write. uid, gid: whom the room belongs to. ``mount_processes`` and ``enter_root`` are to
    follow.
    """
    root = plan["root"]
    mount(None, "/", None, RECURSIVE | PRIVATE)
    _mount_skeleton(root, SKELETON_BYTES + 2 * sum(map(len, plan["texts"].values())))
    _make_skeleton(root, plan)
    _make_room(root, plan, uid, gid)
    for source, target in plan["readonly"]:
        _bind(source, root + target)
    for path in plan["hidden"]:
        if os.path.isdir(root + path):
            _mount_skeleton(root + path, SKELETON_BYTES)
    for source, target in plan["readonly_late"]:
        _bind(source, root + target)
    set_flags(root, READ_ONLY | NO_SUID | NO_DEVICES, recursive=True)
    for writable in (ROOM, "/tmp"):
        set_flags(root + writable, 0, cleared=READ_ONLY)
    for name in DEVICES:
        mount(f"/dev/{name}", f"{root}/dev/{name}", None, BIND)


def mount_processes(root: str) -> None:
    """Show the processes of the caller's process namespace, and nothing else of /proc."""
    mount("proc", f"{root}/proc", "proc", NO_SUID | NO_DEVICES | NO_EXEC, PROC_OPTIONS)


def _mount_skeleton(path: str, size: int) -> None:
    mount("sandbox", path, "tmpfs", NO_SUID | NO_DEVICES, f"size={size},{SKELETON_OPTIONS}")


def _make_skeleton(root: str, plan: dict[str, Any]) -> None:
    for path in ("/proc", "/dev", "/tmp", ROOM, *plan["folders"]):
        os.makedirs(root + path, 0o755, exist_ok=True)
    for path, target in {**LINKS, **plan["links"]}.items():
        os.symlink(target, root + path)
    for name in DEVICES:
        _write(f"{root}/dev/{name}", b"")
    for path, text in plan["texts"].items():
        _write(root + path, text)


def _make_room(root: str, plan: dict[str, Any], uid: int, gid: int) -> None:
    options = f"size={plan['room_bytes']},nr_inodes={plan['room_files']},mode=755"
    mount("room", root + ROOM, "tmpfs", NO_SUID | NO_DEVICES, options)
    for name in ROOM_FOLDERS:
        path = f"{root}{ROOM}/{name}"
        os.mkdir(path, 0o700)
        os.chown(path, uid, gid)
    # One place for both, since renaming between two mounts is impossible.
    mount(f"{root}{ROOM}/tmp", f"{root}/tmp", None, BIND)


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, 0o755, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        _write(target, b"")
    mount(source, target, None, BIND | RECURSIVE)


def set_flags(path: str, flags: int, *, cleared: int = 0, recursive: bool = False) -> None:
    attributes = struct.pack("=QQQQ", flags, cleared, 0, 0)
    at = AT_RECURSIVE if recursive else 0
    call("mount_setattr", CURRENT, path.encode(), at, attributes, len(attributes))


def enter_root(root: str) -> None:
    """Make root the root folder and let go of the old one."""
    os.chdir(root)
    call("pivot_root", b".", b".")
    check(LIBC.umount2(b".", DETACH), "umount of the old root")
    os.chdir("/")


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(0, f"{path} could not be written whole")
    finally:
        os.close(descriptor)
