from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cli.config import Config, Login, config_path, load_config, origin_of, save_config
from cli.errors import CliError
from cli.exit_codes import ExitCode

ALICE = Config("http://acme.localhost:8000", {"http://acme.localhost:8000": Login("secret", "al")})


def test_a_saved_login_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "config.json"

    save_config(path, ALICE)

    assert load_config(path) == ALICE


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.json"
    path.parent.mkdir()
    path.touch(mode=0o644)

    save_config(path, ALICE)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["config.json"]


def test_a_file_others_can_read_is_made_private_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    save_config(path, ALICE)
    path.chmod(0o644)

    load_config(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "config.json"
    save_config(real, Config())
    link.symlink_to(real)

    save_config(link, ALICE)

    assert link.is_symlink()
    assert load_config(real) == ALICE


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"logins": 3}', '{"logins": {"u": {}}}', '{"default_url": 1}', "\x00",
     '{"logins": {"u": {"token": 1, "username": "a"}}}', "[" * 100_000],
)  # fmt: skip
def test_a_broken_file_is_reported_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)

    with pytest.raises(CliError) as caught:
        load_config(path)

    assert caught.value.exit_code == ExitCode.USAGE
    assert str(path) in caught.value.message
    assert path.read_text() == text


def test_an_absent_file_is_an_empty_configuration(tmp_path: Path) -> None:
    assert load_config(tmp_path / "absent.json") == Config()


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CliError) as caught:
        save_config(tmp_path / "file" / "config.json", ALICE)

    assert "EXECFABRIC_CONFIG" in caught.value.hint


def test_a_login_never_shows_its_token() -> None:
    assert "secret" not in repr(ALICE)


def test_the_environment_says_where_the_file_is() -> None:
    chosen = {"EXECFABRIC_CONFIG": "/a/b.json", "XDG_CONFIG_HOME": "/x"}

    assert config_path(chosen) == Path("/a/b.json")
    assert config_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/execfabric/config.json")


def test_a_relative_xdg_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/al")

    found = config_path({"XDG_CONFIG_HOME": "relative"})

    assert found == Path("/home/al/.config/execfabric/config.json")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)

    with pytest.raises(CliError) as caught:
        config_path({})

    assert "EXECFABRIC_CONFIG" in caught.value.hint


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("acme.localhost:8000", "http://acme.localhost:8000"),
        ("localhost", "http://localhost"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("acme.example.com", "https://acme.example.com"),
        (" https://ACME.example.com:443/skills/?q=1#top ", "https://acme.example.com"),
        ("http://acme.example.com:80", "http://acme.example.com"),
    ],
)
def test_a_typed_address_becomes_an_origin(typed: str, origin: str) -> None:
    assert origin_of(typed) == origin


@pytest.mark.parametrize(
    "typed",
    ["", "http://", "ftp://a.example", "http://a b", "http://al:pw@a.example", "http://a:99999",
     "http://[::1", "file:///etc/passwd", "http://\x1b[2J"],
)  # fmt: skip
def test_an_unusable_address_is_wrong_usage(typed: str) -> None:
    with pytest.raises(CliError) as caught:
        origin_of(typed)

    assert caught.value.exit_code == ExitCode.USAGE
