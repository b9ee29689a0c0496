"""PostgreSQL and Valkey together, and how other processes find them."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from execfabric.embedded.data_dir import DataFolder, write_private
from execfabric.embedded.errors import EmbeddedError, explain_os_error
from execfabric.embedded.identity import service_identity
from execfabric.embedded.postgres import Postgres
from execfabric.embedded.processes import stop_orphans
from execfabric.embedded.server import Server
from execfabric.embedded.valkey import Valkey


@dataclass(frozen=True)
class RunningServices:
    """What services.json says while somebody runs the services. started_at is aware UTC.

    port is where the platform's pages are; None where only the services run.
    """

    database_url: str
    database_owner_url: str
    redis_url: str
    pid: int
    started_at: datetime
    port: int | None = None


class Services:
    """The servers of one data folder, for as long as this object is started.

    Use it as a context manager, or call start() and stop(). The servers die with the thread that
    called start(), however it ends. A database_url or redis_url given here is passed on and its
    own server not started; database_owner_url goes with database_url. fast trades safety against a
    power cut for speed (tests). tcp makes the URLs point to free ports of 127.0.0.1 instead of unix
    sockets. port is passed on to whoever calls read_running().
    """

    def __init__(
        self,
        data_dir: Path,
        fast: bool = False,
        tcp: bool = False,
        *,
        database_url: str | None = None,
        database_owner_url: str | None = None,
        redis_url: str | None = None,
        port: int | None = None,
    ) -> None:
        self.folder = DataFolder(data_dir)
        self.fast = fast
        self.tcp = tcp
        self.database_url = database_url or ""
        self.database_owner_url = (database_owner_url or "") if database_url else ""
        self.redis_url = redis_url or ""
        self.port = port
        self.servers: list[Server] = []
        self._own_database = not database_url
        self._own_redis = not redis_url

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start what is ours and write run/services.json.

        Raises FolderInUseError if another process holds the folder, EmbeddedError for the rest.
        """
        self.folder.hold()
        try:
            self._start()
        except OSError as error:
            self.kill()
            raise explain_os_error(error, self.folder.path) from None
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop the servers in order and let go of the folder."""
        for server in self.servers:
            server.stop()
        self._leave()

    def kill(self) -> None:
        """Stop the servers at once and let go of the folder."""
        for server in self.servers:
            server.kill()
        self._leave()

    def dead(self) -> list[Server]:
        """Return the servers that ended although nobody stopped them."""
        return [server for server in self.servers if not server.alive()]

    def revive(self, server: Server) -> None:
        """Start a dead server again, under the same URL. Raises EmbeddedError."""
        stop_orphans(server.home, server.stop_signal)
        server.start()

    def _start(self) -> None:
        identity = service_identity(self.folder.postgres)
        self.folder.create(identity)
        self.folder.services_file.unlink(missing_ok=True)
        stop_orphans(self.folder.postgres, Postgres.stop_signal)
        stop_orphans(self.folder.valkey, Valkey.stop_signal)
        sockets = self.folder.socket_dir(identity)
        if self._own_database:
            self.folder.open_log(Postgres.name)
            postgres = Postgres(self.folder, identity, sockets, fast=self.fast, tcp=self.tcp)
            self.servers.append(postgres)
            postgres.start()
            self.database_url = postgres.url
            self.database_owner_url = postgres.owner_url
        if self._own_redis:
            self.folder.open_log(Valkey.name)
            valkey = Valkey(self.folder, identity, sockets, fast=self.fast, tcp=self.tcp)
            self.servers.append(valkey)
            valkey.start()
            self.redis_url = valkey.url
        self._announce()

    def _announce(self) -> None:
        facts = {
            "database_url": self.database_url,
            "database_owner_url": self.database_owner_url,
            "redis_url": self.redis_url,
            "pid": os.getpid(),
            "started_at": datetime.now(UTC).isoformat(),
            "port": self.port,
        }
        write_private(self.folder.services_file, json.dumps(facts))

    def _leave(self) -> None:
        for server in self.servers:
            self.folder.remove_short_socket_dir(server.sockets)
        self.servers = []
        self.folder.leave()


def read_running(data_dir: Path) -> RunningServices | None:
    """Return the services that run on data_dir, or None.

    A file left by a killed process does not count: its writer must still hold the folder.
    Raises EmbeddedError if the folder is another user's.
    """
    folder = DataFolder(data_dir)
    try:
        holder = folder.holder()
        if holder is None:
            return None
        facts = json.loads(folder.services_file.read_text(encoding="utf-8"))
        if facts["pid"] != holder:
            return None
        return RunningServices(
            database_url=facts["database_url"],
            database_owner_url=facts["database_owner_url"],
            redis_url=facts["redis_url"],
            pid=facts["pid"],
            started_at=datetime.fromisoformat(facts["started_at"]),
            port=facts.get("port"),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explain_os_error(error, folder.path) from None
    except (ValueError, KeyError, TypeError):
        raise EmbeddedError(f"{folder.services_file} is damaged. Restart ExecFabric.") from None
