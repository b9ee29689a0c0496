"""What attacks are aimed at, and a way to run one as root's worker or as an ordinary user's."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from execfabric.embedded.ports import free_port
from executors.contract import ExecutionRequest, ExecutionResult, Limits
from executors.script.executor import ScriptExecutor
from executors.script.interpreter import find_interpreter, is_reachable
from executors.script.removal import remove_tree
from tests.executors.conftest import RecordingSink, executor_at

ATTACKS = Path(__file__).parent / "attacks"
SOMEBODY = 1_879_700_000 + os.getpid()
"""An ordinary user of this process alone: limits count the processes of a user."""
MEBIBYTE = 1024 * 1024
LIMITS = {"timeout_s": 20, "processes": 40, "disk_bytes": 32 * MEBIBYTE, "disk_files": 500}


@dataclass
class Attempt:
    """How an attack ended. output: what it says it reached."""

    result: ExecutionResult
    log: str
    progress: list[tuple[float, str]]
    workdir: Path

    @property
    def output(self) -> Any:
        return self.result.output


Attack = Callable[..., Attempt]


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="execfabric-attacks-"))
    folder.chmod(0o777)
    yield folder
    remove_tree(folder)


@pytest.fixture(
    params=["as the worker", pytest.param("as somebody", marks=pytest.mark.skipif(
        os.geteuid() != 0, reason="only root can be somebody else"))],
)  # fmt: skip
def user(request: pytest.FixtureRequest) -> int:
    """Whom the worker runs as: ourselves, and for root also an ordinary user."""
    if request.param == "as the worker":
        return os.geteuid()
    if not is_reachable(ATTACKS.parents[3] / "bootstrap.py") and not _all_may_enter(ATTACKS):
        pytest.skip("other users cannot read this checkout")
    return SOMEBODY


def _all_may_enter(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in folder.parents)


@pytest.fixture(scope="session")
def base_python(open_folder: Path) -> Path:
    """An interpreter everybody can start; ours may lie in a closed home."""
    uid = SOMEBODY if os.geteuid() == 0 else None
    return find_interpreter(uid, cache=open_folder / "python")


@pytest.fixture(params=[False, True], ids=["cold", "warm"])
def warm(request: pytest.FixtureRequest) -> bool:
    """Whether the attack's interpreter is forked from a zygote."""
    started_warm: bool = request.param
    return started_warm


@pytest.fixture
def lab(user: int, open_folder: Path) -> Iterator[dict[str, Any]]:
    """Files, processes and sockets that no run may reach, readable by everybody."""
    folder = Path(tempfile.mkdtemp(prefix="lab-", dir=open_folder))
    folder.chmod(0o755)
    secret = secrets.token_hex(16)
    tmp_file = Path(tempfile.gettempdir(), f"canary-{secret[:8]}")
    texts = {
        "tenant_file": folder / "tenant_b" / "secret.txt",
        "settings_file": folder / "platform.env",
        "progress_file": folder / "progress",
        "tmp_file": tmp_file,
    }
    for path in texts.values():
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"0.9 {secret}\n")
        path.chmod(0o644)
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    mark = f"victim-{secret[:12]}"
    victim = subprocess.Popen(
        ["/bin/sh", "-c", f"sleep 300 # {mark}"], env={"SECRET": secret},
        user=user if user != os.geteuid() else None,  # Naming a user copies all our memory first.
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    listeners = _listen(folder)
    tcp, udp, _, abstract = listeners
    yield {
        **{name: str(path) for name, path in texts.items()},
        "secret": secret,
        "folder": str(folder),
        "runs": str(open_folder),
        "code": [str(ATTACKS.parents[3] / "manage.py"), str(ATTACKS.parents[3] / "executors")],
        "world_writable": str(folder / "open"),
        "platform_pid": os.getpid(),
        "victim_pid": victim.pid,
        "victim_mark": mark,
        # Seconds to sleep, and found by them: a short number stands in a browser's arguments, too.
        "daemon_mark": f"{10_000 + secrets.randbelow(90_000)}.{secrets.randbelow(10**12):012}",
        "tcp_port": tcp.getsockname()[1],
        "udp_port": udp.getsockname()[1],
        "unix_path": str(folder / "socket"),
        "abstract": abstract.getsockname()[1:].decode(),
        "listen_port": free_port(),
        "udp_socket": udp,
        "victim": victim,
        **{name: LIMITS[name] for name in ("processes", "disk_bytes", "disk_files")},
    }
    for listener in listeners:
        listener.close()
    victim.kill()
    victim.wait()
    tmp_file.unlink()
    remove_tree(folder)


def _listen(folder: Path) -> list[socket.socket]:
    tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    tcp.bind(("0.0.0.0", 0))
    udp.bind(("0.0.0.0", 0))
    udp.setblocking(False)
    path, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    path.bind(str(folder / "socket"))
    (folder / "socket").chmod(0o777)
    abstract.bind(f"\0execfabric-{secrets.token_hex(6)}")
    for listener in (tcp, path, abstract):
        listener.listen(16)
    return [tcp, udp, path, abstract]


@pytest.fixture
def attack(
    user: int, warm: bool, lab: dict[str, Any], open_folder: Path, base_python: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Attack]:  # fmt: skip
    """Return a function that runs one attack and says how it ended."""
    monkeypatch.setenv("PLATFORM_SECRET", lab["secret"])

    executors: list[ScriptExecutor] = []

    def run(name: str, *, level: str = "ns", network: bool = False, **limits: Any) -> Attempt:
        workdir = Path(tempfile.mkdtemp(prefix="work-", dir=open_folder))
        os.chown(workdir, user, -1)
        request = _request(name, lab, limits, network=network)
        if user == os.geteuid():
            executors.append(executor_at(level, open_folder, warm=warm))
            return _execute(executors[-1], request, workdir)
        return _execute_as(user, base_python, level, open_folder, request, workdir, warm)

    yield run
    for executor in executors:
        executor.close()


def _request(
    name: str, lab: dict[str, Any], limits: dict[str, Any], *, network: bool
) -> ExecutionRequest:
    shown = {key: value for key, value in lab.items() if key not in ("udp_socket", "victim")}
    return ExecutionRequest(
        execution_id="attack",
        tenant="tenant_a",
        kind="script",
        resource={"folder": str(ATTACKS), "runtime": "python", "entry": "main.py"},
        inputs={"attack": name, "lab": shown},
        limits=Limits(**{**LIMITS, **limits}),
        network=network,
    )


def _execute(executor: ScriptExecutor, request: ExecutionRequest, workdir: Path) -> Attempt:
    sink = RecordingSink()
    result = executor.execute(request, sink, workdir=workdir)
    assert bool(executor.zygotes()) is executor.has_zygotes
    return Attempt(result, sink.text(), sink.progress_lines, workdir)


def _execute_as(
    user: int, python: Path, level: str, open_folder: Path, request: ExecutionRequest,
    workdir: Path, warm: bool,
) -> Attempt:  # fmt: skip
    def execute() -> dict[str, Any]:
        state = open_folder / f"state-{user}"
        executor = ScriptExecutor(state_folder=state, level=level, zygotes=warm)
        done = _execute(executor, request, workdir)
        result = done.result.model_dump(mode="json")
        return {"result": result, "log": done.log, "progress": done.progress}

    answer = call_as(user, python, execute)
    result = ExecutionResult.model_validate(answer["result"])
    return Attempt(result, answer["log"], answer["progress"], workdir)


def call_as(user: int, python: Path, function: Callable[[], Any]) -> Any:
    """Return what function returns, as JSON, in a child that is user and starts stages by python.

    So does a worker without root. What the child does to itself ends with it.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if user != os.geteuid():
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                sys._base_executable = str(python)  # type: ignore[attr-defined]
            answer = {"returned": function()}
        except BaseException:  # noqa: BLE001 - told to the parent
            answer = {"failed": traceback.format_exc()}
        with os.fdopen(writer, "w") as stream:
            json.dump(answer, stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = json.load(stream)
    os.waitpid(pid, 0)
    assert "failed" not in answer, answer["failed"]
    return answer["returned"]
