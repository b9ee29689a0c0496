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
AT_EMPTY_PATH = 0x1000
TREE_COPY, TREE_CLOSES = 1, 0o2000000
"""Of ``open_tree``."""
FROM_DESCRIPTOR = 4
"""Of ``move_mount``."""
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
OWN = "/run"
"""Where the files lie that only one run has; each is shown at its place, read-only."""
INPUT = f"{JOB}/input.json"
OWN_INPUT = f"{OWN}/input.json"
"""What ``INPUT`` leads to: a file, or a link to where a script's inputs come to lie later."""
OWN_TEXTS = ("/etc/group", "/etc/passwd")
SKELETON_OPTIONS = "size=256m,nr_inodes=1k,mode=755"
"""A run cannot write to it; its inputs lie in one like it."""
FIXED = READ_ONLY | NO_SUID | NO_DEVICES
FRAME = ("root", "folders", "links", "fixed_texts", "readonly", "hidden", "interpreter")
"""The parts of a plan that are the same for every run of an interpreter."""
PROC_OPTIONS = "subset=pid,hidepid=invisible"


def build_view(plan: dict[str, Any], uid: int, gid: int) -> None:
    """Build the root a run is to have. The calling process has a mount namespace of its own.

    plan: that of ``build_frame`` and that of ``complete_view``, with ``given``: the folders whose
    copies ``complete_view`` puts, as [source, target] pairs. ``enter_root`` is to follow.
    """
    build_frame(plan)
    trees = [copy_tree(source) for source, _ in plan["given"]]
    complete_view(plan["root"], plan, trees, uid, gid)


def build_frame(frame: dict[str, Any]) -> None:
    """Build what is the same for every run, read-only.

    frame: ``root`` an empty folder to build on; ``folders``, ``links`` and ``fixed_texts`` path ->
    bytes to make; ``readonly`` [source, target] pairs, then ``hidden`` folders to cover, then
    ``interpreter`` pairs, which may lie in those.
    """
    root = frame["root"]
    # What the machine unmounts goes here, too: one that waits for its run must not hold it.
    mount(None, "/", None, RECURSIVE | SLAVE)
    mount("sandbox", root, "tmpfs", NO_SUID | NO_DEVICES, SKELETON_OPTIONS)
    _make_skeleton(root, frame)
    for source, target in frame["readonly"]:
        _bind(source, root + target)
    for path in frame["hidden"]:
        if os.path.isdir(root + path):
            mount("hidden", root + path, "tmpfs", NO_SUID | NO_DEVICES, SKELETON_OPTIONS)
    for source, target in frame["interpreter"]:
        _bind(source, root + target)
    set_flags(root, FIXED, recursive=True)
    for name in DEVICES:
        mount(f"/dev/{name}", f"{root}/dev/{name}", None, BIND)
    _keep_to_itself(root)


def complete_view(root: str, plan: dict[str, Any], trees: list[int], uid: int, gid: int) -> None:
    """Add to a frame what is the run's own. root: "" within it. uid, gid: whom the room belongs to.

    plan: ``texts`` path -> bytes, for ``INPUT`` and some of ``OWN_TEXTS``; ``inputs_at``, where
    there are none yet, is where they will be; ``given`` [anything, target] pairs for trees, see
    ``copy_tree``; ``room_bytes`` and ``room_files`` bounds of what the run may write.
    """
    _make_room(root, plan, uid, gid)
    own = root + OWN
    mount("own", own, "tmpfs", NO_SUID | NO_DEVICES, SKELETON_OPTIONS)
    for number, (path, data) in enumerate(plan["texts"].items()):
        _write(root + OWN_INPUT if path == INPUT else f"{own}/{number}", data)
    if "inputs_at" in plan:
        os.symlink(plan["inputs_at"], root + OWN_INPUT)
    set_flags(own, FIXED)
    for number, path in enumerate(plan["texts"]):
        if path != INPUT:
            mount(f"{own}/{number}", root + path, None, BIND)
    for (_, target), tree in zip(plan["given"], trees, strict=True):
        os.makedirs(root + target, 0o755, exist_ok=True)
        put_tree(tree, root + target)


def copy_tree(path: str) -> int:
    """Return a folder with all that is mounted in it, read-only, as an open descriptor.

    It is nowhere yet. Another mount namespace, too, can put it somewhere, once.
    """
    flags = TREE_COPY | TREE_CLOSES | AT_RECURSIVE
    tree = call("open_tree", CURRENT, path.encode(), flags)
    try:
        _set_attributes(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, FIXED, PRIVATE)
    except OSError:
        os.close(tree)
        raise
    return tree


def put_tree(tree: int, target: str) -> None:
    """Show at target what ``copy_tree`` returned; closes it."""
    try:
        call("move_mount", tree, b"", CURRENT, target.encode(), FROM_DESCRIPTOR)
    finally:
        os.close(tree)


def _keep_to_itself(root: str) -> None:
    """Let nothing appear in the view that the machine mounts later, without the view's flags."""
    mount(None, root, None, RECURSIVE | PRIVATE)


def mount_own_processes(root: str) -> None:
    """Show the caller's process namespace whole, to the caller's mount namespace only."""
    mount("proc", f"{root}/proc", "proc", NO_SUID | NO_DEVICES | NO_EXEC)


def mount_processes(root: str) -> None:
    """Show the processes of the caller's process namespace, and nothing else of /proc."""
    mount("proc", f"{root}/proc", "proc", NO_SUID | NO_DEVICES | NO_EXEC, PROC_OPTIONS)


def _make_skeleton(root: str, frame: dict[str, Any]) -> None:
    for path in ("/proc", "/dev", "/tmp", ROOM, *frame["folders"]):
        os.makedirs(root + path, 0o755, exist_ok=True)
    for path, target in {**LINKS, INPUT: OWN_INPUT, **frame["links"]}.items():
        os.symlink(target, root + path)
    for name in DEVICES:
        _write(f"{root}/dev/{name}", b"")
    for path, data in {**dict.fromkeys(OWN_TEXTS, b""), **frame["fixed_texts"]}.items():
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


def set_flags(path: str, flags: int, *, recursive: bool = False) -> None:
    _set_attributes(CURRENT, path, AT_RECURSIVE if recursive else 0, flags, 0)


def _set_attributes(at: int, path: str, how: int, flags: int, propagation: int) -> None:
    attributes = struct.pack("=QQQQ", flags, 0, propagation, 0)
    call("mount_setattr", at, path.encode(), how, attributes, len(attributes))


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
