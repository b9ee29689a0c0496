"""PostgreSQL and Valkey start, stop and start again whatever happened before."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from execfabric.embedded import EmbeddedError, Services, read_running
from execfabric.embedded.data_dir import DataFolder
from execfabric.embedded.errors import FolderInUseError
from execfabric.embedded.identity import service_identity
from tests.embedded.process_table import ROOT, processes_of, wait_for

HOLD = """
import sys, time
from pathlib import Path
from execfabric.embedded import Services
services = Services(Path(sys.argv[1]), fast=True).start()
print(services.database_owner_url, flush=True)
time.sleep(600)
"""


def ask(services: Services, statement: str) -> str:
    with psycopg.connect(services.database_owner_url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
        return str(row[0]) if row else ""


def hold_in_another_process(data_dir: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("postgresql://")
    return process


def test_both_answer_under_their_urls_and_are_gone_after_the_stop(folder: Path) -> None:
    with Services(folder / "var", fast=True) as services:
        assert ask(services, "SHOW server_version").startswith("18.")
        assert ask(services, "SELECT current_database()") == "execfabric"
        assert ask(services, "SHOW timezone") == "UTC"
        assert ask(services, "SHOW max_connections") == "200"
        assert redis.Redis.from_url(services.redis_url).ping()

    assert processes_of(folder) == []


def test_data_survives_a_restart(folder: Path) -> None:
    with (
        Services(folder / "var", fast=True) as services,
        psycopg.connect(services.database_owner_url) as connection,
    ):
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")

    with Services(folder / "var", fast=True) as services:
        assert ask(services, "SELECT number FROM kept") == "7"


def test_tcp_urls_answer_on_the_loopback(folder: Path) -> None:
    with Services(folder / "var", fast=True, tcp=True) as services:
        assert "@127.0.0.1:" in services.database_owner_url
        assert ask(services, "SELECT 1") == "1"
        assert redis.Redis.from_url(services.redis_url).ping()


def test_a_wrong_password_is_refused(folder: Path) -> None:
    with Services(folder / "var", fast=True) as services:
        password = services.database_owner_url.split(":")[2].split("@")[0]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(services.database_owner_url.replace(password, "wrong"))


def test_the_servers_never_run_as_root(folder: Path) -> None:
    with Services(folder / "var", fast=True) as services:
        for server in services.servers:
            assert server.process is not None
            assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0


@pytest.mark.parametrize(
    "name",
    [
        "spaces, 'quotes' & 100%",
        "spaces 'and' \"quotes\" \\ & 100%",
        "ü" * 20,
        "deep/" + "long" * 30,
    ],
)
def test_any_path_will_do(folder: Path, name: str) -> None:
    with Services(folder / name / "var", fast=True) as services:
        assert ask(services, "SELECT 1") == "1"
        assert redis.Redis.from_url(services.redis_url).ping()


def test_a_short_socket_folder_of_somebody_else_is_not_used(folder: Path) -> None:
    data = DataFolder(folder / ("long" * 30))
    identity = service_identity()
    data.create(identity)
    sockets = data.socket_dir(identity)
    try:
        assert sockets.parent == Path("/tmp")
        sockets.chmod(0o777)
        with pytest.raises(EmbeddedError, match="is not ours"):
            data.socket_dir(identity)
    finally:
        sockets.rmdir()


def test_a_second_start_names_the_process_that_has_the_folder(folder: Path) -> None:
    holder = hold_in_another_process(folder / "var")
    try:
        with pytest.raises(FolderInUseError, match=f"in use by process {holder.pid}"):
            Services(folder / "var", fast=True).start()
    finally:
        holder.kill()
        holder.wait()


def test_a_killed_holder_leaves_no_process_and_the_next_start_works(folder: Path) -> None:
    holder = hold_in_another_process(folder / "var")
    holder.send_signal(signal.SIGKILL)
    holder.wait()

    with Services(folder / "var", fast=True) as services:
        assert ask(services, "SELECT 1") == "1"
    wait_for(lambda: processes_of(folder) == [], "all processes gone")


def test_killed_servers_leave_nothing_that_stops_the_next_start(folder: Path) -> None:
    services = Services(folder / "var", fast=True).start()
    for server in services.servers:
        assert server.process is not None
        server.process.kill()
    services.kill()
    pid_file = folder / "var" / "postgres" / "postmaster.pid"
    assert pid_file.exists()
    # The worst case: the number in the stale file now belongs to a living process.
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")

    with Services(folder / "var", fast=True) as again:
        assert ask(again, "SELECT 1") == "1"


def test_a_dead_server_is_noticed_and_started_again_under_its_url(folder: Path) -> None:
    with Services(folder / "var", fast=True) as services:
        for server in list(services.servers):
            assert server.process is not None
            server.process.kill()
            server.process.wait()
            assert services.dead() == [server]
            services.revive(server)
        assert services.dead() == []
        assert ask(services, "SELECT 1") == "1"
        assert redis.Redis.from_url(services.redis_url).ping()


def test_others_find_the_services_only_while_they_run(folder: Path) -> None:
    assert read_running(folder / "var") is None
    with Services(folder / "var", fast=True) as services:
        running = read_running(folder / "var")
        assert running is not None
        assert (running.database_owner_url, running.redis_url, running.pid) == (
            services.database_owner_url,
            services.redis_url,
            os.getpid(),
        )
        assert running.started_at.utcoffset() is not None
        assert services.folder.services_file.stat().st_mode & 0o777 == 0o600
        facts = services.folder.services_file.read_text()
    assert read_running(folder / "var") is None

    services.folder.services_file.write_text(facts)  # what a killed process leaves
    assert read_running(folder / "var") is None


@pytest.mark.parametrize("port", [None, 8001])
def test_others_find_the_port_of_the_platform_where_there_is_one(
    folder: Path, port: int | None
) -> None:
    given = {"database_url": "postgresql://db.example/one", "redis_url": "redis://c.example/0"}
    with Services(folder / "var", port=port, **given):
        running = read_running(folder / "var")

    assert running is not None
    assert running.port == port


def test_services_of_an_older_version_name_no_port(folder: Path) -> None:
    given = {"database_url": "postgresql://db.example/one", "redis_url": "redis://c.example/0"}
    with Services(folder / "var", port=8001, **given) as services:
        facts = json.loads(services.folder.services_file.read_text())
        del facts["port"]
        services.folder.services_file.write_text(json.dumps(facts))
        running = read_running(folder / "var")

    assert running is not None
    assert running.port is None


def test_a_user_without_a_name_is_told_before_the_database_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_entry(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", no_entry)

    with pytest.raises(EmbeddedError, match=r"user id \d+ has no name .* /etc/passwd"):
        Services(folder / "var", fast=True).start()

    assert not (folder / "var" / "postgres.partial").exists()


def test_servers_of_the_operator_are_passed_on_and_not_started(folder: Path) -> None:
    given = {
        "database_url": "postgresql://app@db.example/one",
        "database_owner_url": "postgresql://owner@db.example/one",
        "redis_url": "redis://cache.example/0",
    }
    with Services(folder / "var", **given) as services:
        assert services.servers == []
        assert {name: getattr(services, name) for name in given} == given


def test_a_folder_of_another_postgresql_is_refused_with_both_versions(folder: Path) -> None:
    with Services(folder / "var", fast=True):
        pass
    (folder / "var" / "postgres" / "PG_VERSION").write_text("15\n")

    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 15, this .* brings 18"):
        Services(folder / "var", fast=True).start()


def test_an_interrupted_creation_starts_over(folder: Path) -> None:
    (folder / "var" / "postgres.partial").mkdir(parents=True)
    (folder / "var" / "postgres.partial" / "PG_VERSION").write_text("18\n")

    with Services(folder / "var", fast=True) as services:
        assert ask(services, "SELECT current_database()") == "execfabric"


def test_a_full_disk_is_said_plainly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1000}))

    with pytest.raises(EmbeddedError, match="is full"):
        Services(folder / "var", fast=True).start()
