"""Whom a run runs as.

A root worker gives every run a user id of its own, so that runs cannot read, signal or trace each
other. An ordinary user has no other id to give: there a run shares the worker's.
"""

# ruff: noqa: PTH106, PTH208 - folders are open descriptors here; pathlib takes none.

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from executors.script.level import MachineProblem
from executors.script.removal import remove_entry
from executors.script.tree import count_tasks_of

FIRST_UID = 1_879_100_000
"""Ids from 1879048192 to 2147483647 are those that no distribution or service manager hands out."""
UID_COUNT = 10_000
USUAL_COUNT = 64
"""So many ids one process uses when it has few runs at once."""
LOWEST_UID = 1000
"""Below are the machine's own users, whose processes a run's end would kill."""
SHARED_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - swept, not written to


MACHINE = Path("/run")
"""Where locks lie that every platform on this machine heeds: user ids are the machine's."""


class NoFreeIdentity(MachineProblem):
    """Every user id for runs is in use."""


@dataclass(frozen=True)
class Identity:
    """User and group id of a run, and the lock that keeps them its own while it is open."""

    uid: int
    gid: int
    lock: int

    def sweep(self) -> None:
        """Remove what the finished run left in folders that everybody may write to."""
        for folder in SHARED_FOLDERS:
            with suppress(OSError):
                _remove_files_of(self.uid, folder)


class Identities:
    """Hands out user ids; several processes may share folder. Only for root."""

    def __init__(self, folder: Path, first_uid: int = FIRST_UID, count: int = UID_COUNT) -> None:
        if first_uid < LOWEST_UID:
            raise ValueError(f"User ids for runs must be {LOWEST_UID} or more.")
        self._folder = folder
        self._first = first_uid
        self._count = count
        self._start = secrets.randbelow(count)
        self._kept: list[Identity] = []
        self._kept_lock = threading.Lock()
        """Two threads must not close one descriptor: it would be somebody else's by then."""

    @contextmanager
    def take(self) -> Iterator[Identity]:
        """Yield an id nobody else uses. Raises NoFreeIdentity."""
        # From a random place on, so that an id is hardly ever used twice in a row; not from any,
        # since a new lock's file takes longer to make than an old one's to open.
        start = self._start + secrets.randbelow(USUAL_COUNT)
        for step in range(self._count):
            slot = (start + step) % self._count
            lock = self._open_lock(self._first + slot)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            try:
                yield Identity(self._first + slot, self._first + slot, lock)
            finally:
                os.close(lock)
            return
        raise NoFreeIdentity(f"All {self._count} user ids for runs are in use.")

    def keep(self, identity: Identity) -> None:
        """Let nobody have an id before its processes are dead; some could not be killed."""
        with self._kept_lock:
            self._kept.append(replace(identity, lock=os.dup(identity.lock)))

    def release_dead(self) -> None:
        """Give back the ids that were kept and have no process any more."""
        with self._kept_lock:
            kept, self._kept = self._kept, []
            for identity in kept:
                if count_tasks_of(identity.uid):
                    self._kept.append(identity)
                else:
                    os.close(identity.lock)

    def _open_lock(self, uid: int) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        path = f"{self._folder}/{uid}.lock"
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(path, flags, 0o600)


def folder_of_locks(state: Path) -> Path:
    """Return where user ids are locked: for the whole machine, where that is possible.

    Two platforms with one range would else give the same id to two runs, and the end of the one
    would kill the other. In a container /run is its own, as its processes are.
    """
    return MACHINE / "execfabric-ids" if os.access(MACHINE, os.W_OK) else state / "ids"


def _remove_files_of(uid: int, folder: str) -> None:
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name in os.listdir(top):
            with suppress(OSError):
                if os.stat(name, dir_fd=top, follow_symlinks=False).st_uid == uid:
                    _move_out_and_remove(top, name, folder)
    finally:
        os.close(top)


def _move_out_and_remove(top: int, name: str, folder: str) -> None:
    """Empty the entry inside a private folder: in a shared one its parts would lie open."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=top)
        return
    private = f".execfabric-{secrets.token_hex(8)}"
    os.mkdir(private, 0o700, dir_fd=top)
    inner = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)
    try:
        os.rename(name, name, src_dir_fd=top, dst_dir_fd=inner)
        while names := os.listdir(inner):
            for child in names:
                remove_entry(inner, child)
    finally:
        os.close(inner)
    os.rmdir(f"{folder}/{private}")


def check_user_ids(folder: Path, *ids: int) -> None:
    """Raise MachineProblem where root is a container's and has not these user ids for runs.

    folder: one of ours, to try it in.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            for uid in ids:
                os.fchown(file.fileno(), uid, uid)
        except OSError as error:
            raise MachineProblem(
                f"The user ids {ids[0]} to {ids[-1]}, which runs get from a worker that is root, "
                f"cannot be used here: {error.strerror}. Start the worker as an ordinary user."
            ) from error
