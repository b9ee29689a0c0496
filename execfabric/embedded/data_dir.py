"""The data folder: where it lies, what is in it, and who holds it."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
import time
from pathlib import Path

from execfabric.embedded.errors import EmbeddedError, FolderInUseError, explain_os_error
from execfabric.embedded.identity import Identity, service_identity

ROOT_DATA_DIR = Path("/var/lib/execfabric")
# AF_UNIX paths end at 107 bytes and PostgreSQL adds "/.s.PGSQL.5432".
LONGEST_SOCKET_DIR_BYTES = 90
# A reader probes the lock for a moment; a start outlasts that.
LOCK_PATIENCE_S = 1.0
SECRET_KEY_BYTES = 48


def choose_data_dir(preferred: Path) -> Path:
    """Return the absolute folder for all data; creates nothing.

    EXECFABRIC_DATA_DIR wins. Otherwise preferred, except for root where the user that runs
    PostgreSQL cannot reach it: then a folder of its own under /var/lib/execfabric.

    Raises EmbeddedError if EXECFABRIC_DATA_DIR names a folder that cannot be used.
    """
    explicit = os.environ.get("EXECFABRIC_DATA_DIR", "").strip()
    folder = Path(explicit or preferred).expanduser().absolute()
    closed = service_identity(folder / "postgres").closed_folder(folder.parent)
    if closed is None:
        return folder
    if explicit:
        raise EmbeddedError(
            f"EXECFABRIC_DATA_DIR is {folder}, but the user that runs PostgreSQL cannot enter "
            f"{closed}. Choose a folder that every user may enter, such as {ROOT_DATA_DIR}."
        )
    if os.geteuid() != 0:
        raise EmbeddedError(f"Cannot enter {closed}. Choose a folder with EXECFABRIC_DATA_DIR.")
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:10]
    return ROOT_DATA_DIR / f"{folder.parent.name or 'root'}-{digest}"


class DataFolder:
    """The parts of one data folder. path is made absolute, links resolved."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.run = self.path / "run"
        self.logs = self.path / "logs"
        self.programs = self.path / "bin"
        self.postgres = self.path / "postgres"
        self.valkey = self.path / "valkey"
        self.services_file = self.run / "services.json"
        self.lock_file = self.path / "lock"
        self.secret_key = self.path / "secret_key"
        self.audit_key = self.path / "audit_key"
        self.credential_keys = self.path / "credential_keys"
        self._lock: int | None = None

    def create(self, identity: Identity) -> None:
        """Create what is missing. Raises EmbeddedError if the place cannot be used."""
        try:
            _make_open(self.path)
            for folder in (self.run, self.logs):
                make_private(folder)
            # Root's service user passes through, and reads nothing.
            self.path.chmod(0o711 if identity.drops_root else 0o700)
            self.secret(self.secret_key.name, SECRET_KEY_BYTES)
            self.secret(self.audit_key.name, SECRET_KEY_BYTES)
            self.secret(self.credential_keys.name, SECRET_KEY_BYTES)
        except OSError as error:
            raise explain_os_error(error, self.path) from None
        closed = identity.closed_folder(self.path)
        if closed is not None:
            raise EmbeddedError(
                f"The user that runs PostgreSQL cannot enter {closed}, on the way to the data "
                f"folder. Choose another one, such as {ROOT_DATA_DIR}, with EXECFABRIC_DATA_DIR."
            )

    def hold(self) -> None:
        """Take the folder for this process until leave() or the end of the process.

        Raises FolderInUseError if another process has it.
        """
        try:
            _make_open(self.path)
            lock = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise explain_os_error(error, self.path) from None
        if not _lock_patiently(lock):
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise FolderInUseError(
                f"The data folder {self.path} is in use by process {holder}. Stop it first, or "
                "choose another folder with EXECFABRIC_DATA_DIR."
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def holder(self) -> int | None:
        """Return the id of the process that holds the folder, or None if it is free."""
        try:
            lock = os.open(self.lock_file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(lock, 20, 0).strip()
            return int(text) if text.isdigit() else None
        else:
            return None
        finally:
            os.close(lock)

    def leave(self) -> None:
        """Let go of the folder, if we hold it."""
        if self._lock is not None:
            self.services_file.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def socket_dir(self, identity: Identity) -> Path:
        """Return the folder of the unix sockets, made and checked, owned by identity."""
        inside = self.path / "sockets"
        # PostgreSQL's clients take a comma as the border between two hosts.
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_DIR_BYTES and "," not in str(inside):
            make_private(inside, identity)
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:10]
        short = Path("/tmp") / f"execfabric-{identity.uid}-{digest}"  # noqa: S108 - checked below
        try:
            short.mkdir(mode=0o700)
            identity.own(short)
        except FileExistsError:
            pass
        _require_private(short, identity)
        return short

    def remove_short_socket_dir(self, sockets: Path) -> None:
        """Remove sockets if it lies outside the data folder; a server that still runs keeps it."""
        if not sockets.is_relative_to(self.path):
            with contextlib.suppress(OSError):
                sockets.rmdir()

    def secret(self, name: str, nbytes: int = 32) -> Path:
        """Return the file with a random secret, made at the first call, mode 0600."""
        path = self.path / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(nbytes))
        return path

    def open_log(self, name: str) -> Path:
        """Return the log file of name; the one of the start before is kept as .1."""
        path = self.logs / f"{name}.log"
        if path.exists():
            path.replace(path.with_name(f"{path.name}.1"))
        return path


def make_private(folder: Path, identity: Identity | None = None) -> None:
    """Create folder with mode 0700, owned by identity or by us.

    Raises EmbeddedError where the file system keeps no modes.
    """
    folder.mkdir(exist_ok=True)
    if identity is not None:
        identity.own(folder)
    folder.chmod(0o700)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        raise EmbeddedError(
            f"{folder} lies on a file system without access rights. Choose a folder on a local "
            "disk with EXECFABRIC_DATA_DIR."
        )


def write_private(path: Path, text: str) -> None:
    """Write text to path in one step, readable by the owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _make_open(folder: Path) -> None:
    """Create folder and what is missing above it, passable whatever the umask says."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)


def _require_private(folder: Path, identity: Identity) -> None:
    # Anybody may create names in /tmp, so a link or somebody else's folder must not be used.
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
    if not private or found.st_uid != identity.uid:
        raise EmbeddedError(
            f"{folder} exists and is not ours. Remove it, or choose a data folder with a shorter "
            "path with EXECFABRIC_DATA_DIR."
        )


def _lock_patiently(lock: int) -> bool:
    give_up_at = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.05)
        else:
            return True
