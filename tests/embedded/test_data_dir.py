"""Where the data goes, for root and for users."""

import os
from pathlib import Path

import pytest

from execfabric.embedded import EmbeddedError, choose_data_dir
from execfabric.embedded.data_dir import ROOT_DATA_DIR, DataFolder
from execfabric.embedded.identity import service_identity

AS_ROOT = os.geteuid() == 0


def test_the_preferred_folder_is_taken_where_everybody_may_enter(folder: Path) -> None:
    assert choose_data_dir(folder / "var") == folder / "var"
    assert not (folder / "var").exists()


def test_the_operators_folder_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECFABRIC_DATA_DIR", str(folder / "mine"))

    assert choose_data_dir(folder / "var") == folder / "mine"


def test_root_in_a_closed_folder_goes_elsewhere(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)

    found = choose_data_dir(closed / "clone" / "var")

    if AS_ROOT:
        assert found.parent == ROOT_DATA_DIR
        assert found.name.startswith("clone-")
        assert found != choose_data_dir(closed / "other" / "clone" / "var")
    else:
        assert found == closed / "clone" / "var"


def test_a_folder_that_cannot_be_entered_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700 if AS_ROOT else 0o000)
    monkeypatch.setenv("EXECFABRIC_DATA_DIR", str(closed / "mine"))

    with pytest.raises(EmbeddedError, match=f"cannot enter {closed}"):
        choose_data_dir(folder / "var")
    closed.chmod(0o700)


def test_files_of_the_folder_are_private(folder: Path) -> None:
    data = DataFolder(folder / "var")
    data.create(service_identity())

    assert data.secret_key.stat().st_mode & 0o777 == 0o600
    assert len(data.secret_key.read_text()) >= 50
    assert data.run.stat().st_mode & 0o777 == 0o700
    assert data.logs.stat().st_mode & 0o777 == 0o700


def test_the_secret_key_is_made_once(folder: Path) -> None:
    data = DataFolder(folder / "var")
    data.create(service_identity())
    before = data.secret_key.read_text()
    data.create(service_identity())

    assert data.secret_key.read_text() == before


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_strict_umask_does_not_lock_the_servers_out(folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        data = DataFolder(folder / "a" / "b" / "var")
        data.create(service_identity())
    finally:
        os.umask(before)

    assert service_identity().closed_folder(data.path) is None


def test_a_file_in_the_way_is_named(folder: Path) -> None:
    (folder / "var").write_text("")

    with pytest.raises(EmbeddedError, match=str(folder / "var")):
        DataFolder(folder / "var").hold()
