"""Starts `make demo` from this checkout, runs one skill over HTTP, stops it, looks for leftovers.

Standard library only. Connects to 127.0.0.1 and names the tenant in the Host header, since not
every system resolves names below localhost. Exits 0 when all went well, else 1 with the reason.
"""

# ruff: noqa: S101, S607, T201 - a program for the terminal that runs what PATH says

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
READY = "ExecFabric is ready"
READY_TIMEOUT_S = 600  # The first start installs the packages.
RUN_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
SKILL = "text-statistics"
TEXT = "To be, or not to be, that is the question."


class SmokeError(Exception):
    """Something is not as it should be; the text says what."""


class Demo:
    """`make demo` on a data folder of its own."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.lines: list[str] = []
        # The settings of another instance must not reach this one.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("EXECFABRIC_")}
        self.process = subprocess.Popen(
            ["make", "demo"],
            cwd=ROOT,
            env={**inherited, "EXECFABRIC_DATA_DIR": str(data), "EXECFABRIC_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            print(f"  demo: {line}", end="", flush=True)

    def is_ready(self) -> bool:
        """Return whether it said so. Raises SmokeError when it ended."""
        if self.process.poll() is not None:
            raise SmokeError(f"make demo ended with code {self.process.returncode}.")
        return any(READY in line for line in self.lines)

    def stop(self) -> None:
        """Ask the supervisor to end, as Ctrl-C would. Raises SmokeError unless all went well."""
        services = json.loads((self.data / "run" / "services.json").read_text())
        os.kill(services["pid"], signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise SmokeError(f"make demo still runs {STOP_TIMEOUT_S} s after SIGTERM.") from None
        if code != 0:
            raise SmokeError(f"make demo ended with code {code} after SIGTERM, not with 0.")

    def kill(self) -> None:
        """End it whatever its state; everything it started dies with it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Api:
    """The API of one host."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.token = ""

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of the answer. Raises SmokeError for any status but 200 and 201."""
        headers = {"Host": self.host, "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, f"/api/v1/{path}", body=data, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        if answer.status not in (200, 201):
            raise SmokeError(f"{method} {path} answered {answer.status}: {text[:1000]}")
        return json.loads(text)


def run_skill(port: int) -> None:
    """Log in to the tenant acme and run one skill to its end. Raises SmokeError."""
    demo = json.loads((ROOT / "var" / "demo.json").read_text(encoding="utf-8"))
    account = next(each for each in demo["accounts"]["acme"] if each["role"] == "operator")
    api = Api(demo["hosts"]["acme"], port)
    credentials = {key: account[key] for key in ("username", "password")}
    api.token = api.call("POST", "auth/login", credentials)["token"]
    names = [skill["name"] for skill in api.call("GET", "skills")["results"]]
    if SKILL not in names:
        raise SmokeError(f"The tenant has no skill {SKILL}, only: {', '.join(names) or 'none'}.")
    execution = api.call("POST", "executions", {"skill": SKILL, "inputs": {"text": TEXT}})
    give_up_at = time.monotonic() + RUN_TIMEOUT_S
    while not execution["is_final"]:
        if time.monotonic() > give_up_at:
            raise SmokeError(f"The execution is still {execution['status']}.")
        execution = api.call("GET", f"executions/{execution['id']}?wait=10")
    if execution["status"] != "succeeded" or execution["output"]["words"] != len(TEXT.split()):
        raise SmokeError(f"The execution ended otherwise: {json.dumps(execution)}")
    print(f"  {SKILL} succeeded: {execution['summary']}")


def processes_of(data: Path) -> list[str]:
    """Return the command lines of processes that work on the data folder, ourselves left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            place = os.fsencode((folder / "cwd").readlink())
            traces = command + (folder / "environ").read_bytes() + place
        except OSError:
            continue  # It ended, or is another user's.
        if str(data).encode() in traces:
            shown = command.replace(b"\0", b" ").decode("utf-8", "replace")
            found.append(f"{folder.name} {shown}")
    return found


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return once condition holds. Raises SmokeError after timeout_s seconds."""
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up_at:
            raise SmokeError(f"{what} after {timeout_s:.0f} s.")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def show_logs(data: Path) -> None:
    """Print the end of every log, for whoever has to find out why."""
    for log in sorted((data / "logs").glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
        print(f"--- {log.name}", *lines, sep="\n")


def main() -> int:
    data = Path(tempfile.mkdtemp(prefix="execfabric-smoke-"))
    data.chmod(0o711)  # PostgreSQL runs as another user than root.
    port = free_port()
    demo = Demo(data, port)
    try:
        wait_for(demo.is_ready, READY_TIMEOUT_S, "make demo was not ready")
        run_skill(port)
        demo.stop()
        if left := processes_of(data):
            raise SmokeError(f"Left behind: {'; '.join(left)}")
    except (SmokeError, OSError, ValueError, KeyError, http.client.HTTPException) as error:
        show_logs(data)
        print(f"Smoke failed: {error}", file=sys.stderr)
        return 1
    finally:
        demo.kill()
        shutil.rmtree(data, ignore_errors=True)
    print("Smoke passed: started, ran a skill, stopped, nothing left behind.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
