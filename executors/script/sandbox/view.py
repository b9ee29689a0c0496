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
BIND, RECURSIVE, PRIVATE, SLAVE = 4096, 16384, 1 << 18, 1 << 19
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
SKELETON_OPTIONS = "size=256m,nr_inodes=1k,mode=755"
"""A run cannot write to it; its inputs lie here."""
FIXED = READ_ONLY | NO_SUID | NO_DEVICES
FRAME = ("root", "folders", "links", "fixed_texts", "readonly", "hidden")
"""The parts of a plan that are the same for every run."""
PROC_OPTIONS = "subset=pid,hidepid=invisible"


def build_view(plan: dict[str, Any], uid: int, gid: int) -> None:
    """Build the root a run is to have. The calling process has a mount namespace of its own.

    plan: that of ``build_frame`` and that of ``complete_view``. ``enter_root`` is to follow.
    """
    build_frame(plan)
    complete_view(plan, plan, uid, gid)


def build_frame(frame: dict[str, Any]) -> None:
    """Build what is the same for every run.

    frame: ``root`` an empty folder to build on; ``folders``, ``links`` and ``fixed_texts`` path ->
    bytes to make; ``readonly`` [source, target] pairs, then ``hidden`` folders to cover.
    """
    root = frame["root"]
    # What the machine unmounts goes here, too: one that waits for its run must not hold it.
    mount(None, "/", None, RECURSIVE | SLAVE)
    mount("sandbox", root, "tmpfs", NO_SUID | NO_DEVICES, SKELETON_OPTIONS)
    _make_skeleton(root, frame)
    for source, target in frame["readonly"]:
        _bind(source, root + target)
    made = [root, *(root + path for path in frame["hidden"] if os.path.isdir(root + path))]
    for path in made[1:]:
        mount("hidden", path, "tmpfs", NO_SUID | NO_DEVICES, SKELETON_OPTIONS)
    set_flags(root, FIXED, recursive=True)
    for path in made:
        set_flags(path, 0, cleared=READ_ONLY)
    for name in DEVICES:
        mount(f"/dev/{name}", f"{root}/dev/{name}", None, BIND)
    _keep_to_itself(root)


def complete_view(frame: dict[str, Any], plan: dict[str, Any], uid: int, gid: int) -> None:
    """Add to a frame what is the run's own. uid, gid: whom the room belongs to.

    plan: ``readonly_late`` [source, target] pairs, which may lie in hidden folders; ``texts`` path
    -> bytes; ``room_bytes`` and ``room_files`` bounds of what the run may write.
    """
    root = frame["root"]
    _make_room(root, plan, uid, gid)
    for path, data in plan["texts"].items():
        _write(root + path, data)
    for source, target in plan["readonly_late"]:
        _bind(source, root + target)
        set_flags(root + target, FIXED, recursive=True)
    for path in ("", *frame["hidden"]):
        if os.path.isdir(root + path):
            set_flags(root + path, READ_ONLY)
    _keep_to_itself(root)


def _keep_to_itself(root: str) -> None:
    """Let nothing appear in the view that the machine mounts later, without the view's flags."""
    mount(None, root, None, RECURSIVE | PRIVATE)


def mount_processes(root: str) -> None:
    """Show the processes of the caller's process namespace, and nothing else of /proc."""
    mount("proc", f"{root}/proc", "proc", NO_SUID | NO_DEVICES | NO_EXEC, PROC_OPTIONS)


def _make_skeleton(root: str, frame: dict[str, Any]) -> None:
    for path in ("/proc", "/dev", "/tmp", ROOM, *frame["folders"]):
        os.makedirs(root + path, 0o755, exist_ok=True)
    for path, target in {**LINKS, **frame["links"]}.items():
        os.symlink(target, root + path)
    for name in DEVICES:
        _write(f"{root}/dev/{name}", b"")
    for path, data in frame["fixed_texts"].items():
        _write(root + path, data)


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
