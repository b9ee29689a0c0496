from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.client import Client
from cli.downloads import download_all, safe_name, safe_names
from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.output import Screen
from tests.cli.conftest import TinyServer

Serve = Callable[..., TinyServer]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.csv", "report.csv"),
        ("résumé 2026.txt", "résumé 2026.txt"),
        ("charts/march.png", "charts_march.png"),
        ("../../etc/passwd", "etc_passwd"),
        ("..\\..\\windows\\x.dll", "windows_x.dll"),
        ("/etc/passwd", "etc_passwd"),
        ("C:\\x.txt", "C__x.txt"),
        (".bashrc", "_bashrc"),
        ("..", "artifact"),
        ("/", "artifact"),
        ("", "artifact"),
        ("a\x00b\nc.txt", "a_b_c.txt"),
        ("gpj.\u202egnp.exe", "gpj.gnp.exe"),
        ("con.txt", "_con.txt"),
        ("x. . ", "x"),
    ],
)
def test_a_name_becomes_a_plain_file_name(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_long_name_keeps_its_extension() -> None:
    name = safe_name("ü" * 500 + ".csv")

    assert len(name.encode()) <= 200
    assert name.endswith(".csv")


def test_names_that_fall_together_are_told_apart() -> None:
    assert safe_names(["a/b.txt", "a_b.txt", "A_B.TXT", "x", "x"]) == [
        "a_b.txt",
        "a_b (2).txt",
        "A_B (3).TXT",
        "x",
        "x (2)",
    ]


def artifact(name: str, data: bytes) -> dict[str, Any]:
    return {
        "id": "a1",
        "name": name,
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def download(server: TinyServer, found: dict[str, Any], folder: Path, **wishes: bool) -> list[Path]:
    wishes = {"overwrite": False, **wishes}
    return download_all(Client(server.url()), Screen(), [found], folder, **wishes)


def test_an_artifact_is_saved_in_a_new_folder(serve: Serve, tmp_path: Path) -> None:
    server = serve((200, {}, b"data"))

    paths = download(server, artifact("../x.csv", b"data"), tmp_path / "new" / "folder")

    assert paths == [tmp_path / "new" / "folder" / "x.csv"]
    assert paths[0].read_bytes() == b"data"
    assert list(paths[0].parent.iterdir()) == paths


def test_a_file_in_the_way_is_kept_and_nothing_is_fetched(serve: Serve, tmp_path: Path) -> None:
    server = serve((200, {}, b"data"))
    (tmp_path / "x.csv").write_bytes(b"mine")

    with pytest.raises(CliError) as caught:
        download(server, artifact("x.csv", b"data"), tmp_path)

    assert caught.value.exit_code == ExitCode.USAGE
    assert (tmp_path / "x.csv").read_bytes() == b"mine"
    assert server.received == []


def test_overwrite_replaces_a_link_and_not_what_it_leads_to(serve: Serve, tmp_path: Path) -> None:
    server = serve((200, {}, b"data"))
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.csv").symlink_to(precious)

    paths = download(server, artifact("x.csv", b"data"), folder, overwrite=True)

    assert precious.read_bytes() == b"mine"
    assert not paths[0].is_symlink()
    assert paths[0].read_bytes() == b"data"


def test_a_link_that_leads_nowhere_is_in_the_way_too(serve: Serve, tmp_path: Path) -> None:
    server = serve((200, {}, b"data"))
    (tmp_path / "x.csv").symlink_to(tmp_path / "nowhere")

    with pytest.raises(CliError):
        download(server, artifact("x.csv", b"data"), tmp_path)

    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}, b"dat"),
        (200, {}, b"other"),
        (500, {}, {}),
        (200, {"Content-Length": "9"}, b"data"),
    ],
)
def test_a_broken_download_leaves_nothing_behind(
    serve: Serve, tmp_path: Path, answer: tuple[int, dict[str, str], Any]
) -> None:
    server = serve(answer)

    with pytest.raises(CliError) as caught:
        download(server, artifact("x.csv", b"data"), tmp_path)

    assert caught.value.exit_code == ExitCode.UNREACHABLE
    assert list(tmp_path.glob("*.csv")) + list(tmp_path.glob(".execfabric-*")) == []


def test_a_folder_that_is_a_file_is_wrong_usage(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CliError) as caught:
        download(serve((200, {}, b"")), artifact("x", b""), tmp_path / "file")

    assert caught.value.exit_code == ExitCode.USAGE
