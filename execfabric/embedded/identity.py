"""Which user PostgreSQL and Valkey run as. PostgreSQL refuses to run as root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from execfabric.embedded.errors import EmbeddedError

SERVICE_USERS = ("execfabric", "postgres", "nobody")


class UserOptions(TypedDict, total=False):
    """The part of subprocess.Popen's arguments that drops root."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Identity:
    """A user of this machine. drops_root is true when we are root and become that user."""

    uid: int
    gid: int
    drops_root: bool

    def popen_options(self) -> UserOptions:
        """Return the arguments that make subprocess run as this user."""
        if not self.drops_root:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def require_name(self) -> None:
        """Raise EmbeddedError if the machine does not list this user: initdb asks for its name."""
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            raise EmbeddedError(
                f"The user id {self.uid} has no name on this machine, and PostgreSQL makes no "
                "database without one. Add a line for it to /etc/passwd, or start as another user."
            ) from None

    def closed_folder(self, path: Path) -> Path | None:
        """Return the outermost folder on the way to path that this user may not enter, or None.

        Parts of path that do not exist yet are taken as open, because we create them.
        """
        for folder in reversed([path, *path.parents]):
            try:
                found = folder.stat()
            except FileNotFoundError:
                return None
            except OSError:
                return folder
            if stat.S_ISDIR(found.st_mode) and not self._may(found, 0o1):
                return folder
        return None

    def can_run(self, program: Path) -> bool:
        """Return whether this user may reach, read and run program."""
        if self.closed_folder(program) is not None:
            return False
        return program.is_file() and self._may(program.stat(), 0o5)

    def own(self, path: Path) -> None:
        """Give path to this user; nothing happens unless we are root."""
        if self.drops_root:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def _may(self, found: os.stat_result, bits: int) -> bool:
        if self.uid == found.st_uid:
            shift = 6
        elif self._in_group(found.st_gid):
            shift = 3
        else:
            shift = 0
        return found.st_mode >> shift & bits == bits

    def _in_group(self, gid: int) -> bool:
        # Dropping root also drops every other group.
        return gid == self.gid or (not self.drops_root and gid in os.getgroups())


def service_identity(owned: Path | None = None) -> Identity:
    """Return who runs the servers: ourselves, or an unprivileged user when we are root.

    owned is a folder of an earlier start: as root its owner is taken again, so that a data
    folder keeps working when root starts it later. Raises EmbeddedError if root finds no user.
    """
    if os.geteuid() != 0:
        return Identity(os.geteuid(), os.getegid(), drops_root=False)
    if owned is not None and owned.exists() and (found := owned.stat()).st_uid != 0:
        return Identity(found.st_uid, found.st_gid, drops_root=True)
    for name in SERVICE_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Identity(entry.pw_uid, entry.pw_gid, drops_root=True)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and this machine has no unprivileged user for it. "
        "Create one, for example: useradd --system execfabric"
    )
