"""The command line of the demo: port, environment, ready message."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from execfabric.embedded import EmbeddedError, Services
from execfabric.embedded.child import Child
from execfabric.embedded.data_dir import DataFolder
from execfabric.embedded.demo import (
    DEFAULT_DRAIN_S,
    child_environment,
    describe,
    plan_children,
    plan_demo,
    read_port,
    read_secret,
)
from execfabric.embedded.ports import KERNELS_PORTS, free_port, is_taken
from execfabric.settings.environment import Environment
from tests.embedded.process_table import ROOT


def demo(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "execfabric.embedded", "demo"],
        cwd=ROOT,
        env={**os.environ, "EXECFABRIC_DATA_DIR": str(folder / "var"), **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )


def listen(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    listener.bind((address, 0))
    listener.listen()
    return listener


def test_a_taken_port_names_the_setting_to_change(folder: Path) -> None:
    with listen("127.0.0.1") as listener:
        port = listener.getsockname()[1]
        done = demo(folder, EXECFABRIC_PORT=str(port))

    assert done.returncode == 1
    assert done.stderr == (
        f"Port {port} is in use. Set EXECFABRIC_PORT to another one, for example: "
        f"EXECFABRIC_PORT={port + 1} make demo\n"
    )
    assert not (folder / "var").exists()


def test_a_port_taken_by_ourselves_says_so(folder: Path) -> None:
    with listen("127.0.0.1") as listener, Services(folder / "var", fast=True):
        done = demo(folder, EXECFABRIC_PORT=str(listener.getsockname()[1]))

    assert done.returncode == 1
    assert f"already runs on {folder / 'var'} as process {os.getpid()}" in done.stderr


def test_a_folder_in_use_ends_with_one_line(folder: Path) -> None:
    with Services(folder / "var", fast=True):
        done = demo(folder, EXECFABRIC_PORT=str(free_port()))

    assert done.returncode == 1
    assert f"is in use by process {os.getpid()}" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_port_of_the_other_loopback_counts_as_taken() -> None:
    try:
        listener = listen("::1")
    except OSError:
        assert (
            not Path("/proc/net/if_inet6").exists()
            or "lo" not in Path("/proc/net/if_inet6").read_text()
        )
        return
    with listener:
        assert is_taken(listener.getsockname()[1])


def test_a_free_port_is_none_that_others_get_who_ask_for_any() -> None:
    ports = {free_port() for _ in range(50)}

    assert len(ports) > 1
    assert max(ports) < int(KERNELS_PORTS.read_text().split()[0])
    assert not any(is_taken(port) for port in ports)


@pytest.mark.parametrize("text", ["0", "65536", "eighty", "-1", "80.5", "٨٠"])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(EmbeddedError, match="EXECFABRIC_PORT"):
        read_port({"EXECFABRIC_PORT": text})


def test_no_port_means_8000() -> None:
    assert read_port({}) == read_port({"EXECFABRIC_PORT": " "}) == 8000


def test_children_get_where_things_are(folder: Path) -> None:
    data = DataFolder(folder / "var")
    environment = child_environment({"PYTHONPATH": "/opt"}, data, 8000, folder / "demo.json")

    assert environment["EXECFABRIC_DATA_DIR"] == str(data.path)
    assert environment["EXECFABRIC_PORT"] == "8000"
    assert environment["EXECFABRIC_DEMO_FILE"] == str(folder / "demo.json")
    assert environment["EXECFABRIC_SECRET_KEY_FILE"] == str(data.secret_key)
    assert environment["PYTHONPATH"] == f"{ROOT}:/opt"


def test_a_secret_key_of_the_operator_is_kept(folder: Path) -> None:
    data = DataFolder(folder / "var")
    environment = child_environment({"EXECFABRIC_SECRET_KEY": "s"}, data, 8000, folder / "d")

    assert "EXECFABRIC_SECRET_KEY_FILE" not in environment


def test_the_port_is_left_for_commands_in_other_terminals(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("EXECFABRIC_DATA_DIR", str(folder / "var"))

    assert plan_demo({"EXECFABRIC_PORT": str(port)}).services.port == port


def test_the_web_stops_first_and_the_worker_last(folder: Path) -> None:
    children = plan_children(DataFolder(folder / "var"), 8000, {})

    assert [child.name for child in children] == ["web", "tasks", "worker"]


@pytest.mark.parametrize(
    ("drain", "timeout_s"),
    [({}, 15), ({"EXECFABRIC_DRAIN_S": "60"}, 70), ({"EXECFABRIC_DRAIN_S": "x"}, 15)],
)
def test_a_worker_is_given_the_time_its_runs_have_and_some_more(
    folder: Path, drain: dict[str, str], timeout_s: float
) -> None:
    *_, worker = plan_children(DataFolder(folder / "var"), 8000, drain)

    assert worker.stop_timeout_s == timeout_s
    assert Environment.model_fields["drain_s"].default == DEFAULT_DRAIN_S


def test_the_ready_message_lists_hosts_and_accounts(folder: Path) -> None:
    account = {"username": "olivia", "password": "pw-1", "role": "owner"}
    demo_file = folder / "demo.json"
    demo_file.write_text(
        json.dumps(
            {
                "base_url": "http://localhost:8001",
                "hosts": {"acme": "acme.localhost:8001", "free": "localhost:8001"},
                "accounts": {"acme": [account, {**account, "username": "otto"}]},
            }
        )
    )

    lines = describe(demo_file, 8001).splitlines()

    assert lines[0] == "ExecFabric is ready"
    assert lines[2].split() == ["acme", "http://acme.localhost:8001", "owner", "olivia", "pw-1"]
    assert lines[3].split() == ["owner", "otto", "pw-1"]
    assert lines[4].split() == ["free", "http://localhost:8001"]


@pytest.mark.parametrize("text", ["", "[]", '{"base_url": 1}'])
def test_the_ready_message_survives_a_damaged_demo_file(folder: Path, text: str) -> None:
    (folder / "demo.json").write_text(text)

    assert describe(folder / "demo.json", 8000).splitlines() == [
        "ExecFabric is ready",
        "  http://localhost:8000",
    ]


def test_a_url_may_stand_in_a_file(folder: Path) -> None:
    (folder / "url").write_text("postgresql://db.example/one\n")
    name = "EXECFABRIC_DATABASE_URL"

    assert read_secret({}, name) == ""
    assert read_secret({f"{name}_FILE": str(folder / "url")}, name) == "postgresql://db.example/one"
    with pytest.raises(EmbeddedError, match=f"{name}_FILE"):
        read_secret({f"{name}_FILE": str(folder / "none")}, name)


def test_only_web_is_told_how_the_owner_of_the_database_logs_in(tmp_path: Path) -> None:
    name = "EXECFABRIC_DATABASE_OWNER_URL"
    environment = {name: "postgresql://owner@db/one", "PATH": "/bin"}

    told = {
        plan.name
        for plan in plan_children(DataFolder(tmp_path), 8000, {})
        if name in Child(plan, tmp_path, tmp_path / "log", environment).environment
    }

    assert told == {"web"}
