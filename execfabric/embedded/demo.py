"""What `make demo` runs: the services, and web, worker and beat beside them."""

import http.client
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from execfabric.embedded.child import STOP_TIMEOUT_S, ChildPlan
from execfabric.embedded.data_dir import DataFolder, choose_data_dir
from execfabric.embedded.errors import EmbeddedError
from execfabric.embedded.ports import is_taken
from execfabric.embedded.services import Services, read_running
from execfabric.embedded.supervisor import PlatformPlan

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
DEFAULT_PORT = 8000
HEALTH_TIMEOUT_S = 5.0
WEB_WORKERS = 2
WEB_THREADS = 32
WORKER_SLOTS = 4
# That of the settings, which are not read here.
DEFAULT_DRAIN_S = 5.0
TASK_THREADS = 4
# Saves the second in which a worker listens for others.
WORKERS_ARE_FEW = ("--without-mingle", "--without-gossip")
# Web opens tenants; what runs scripts and scans has no business with it.
OWNER_ONLY = frozenset({"EXECFABRIC_DATABASE_OWNER_URL"})
# Loads the platform once, before the server forks: its workers share it.
WEB_PROGRAM = "import execfabric.wsgi, granian.__main__"


def plan_demo(environ: Mapping[str, str]) -> PlatformPlan:
    """Return what to run, from the operator's environment.

    Raises EmbeddedError if the port or the data folder cannot be used.
    """
    port = read_port(environ)
    data_dir = choose_data_dir(ROOT / "var")
    require_free(port, data_dir)
    services = Services(
        data_dir,
        database_url=read_secret(environ, "EXECFABRIC_DATABASE_URL"),
        database_owner_url=read_secret(environ, "EXECFABRIC_DATABASE_OWNER_URL"),
        redis_url=read_secret(environ, "EXECFABRIC_REDIS_URL"),
        port=port,
    )
    demo_file = Path(environ.get("EXECFABRIC_DEMO_FILE") or ROOT / "var" / "demo.json")
    return PlatformPlan(
        folder=ROOT,
        services=services,
        environment=child_environment(environ, services.folder, port, demo_file),
        prepare=(sys.executable, str(ROOT / "manage.py"), "prepare_demo"),
        children=plan_children(services.folder, port, environ),
        ready_text=lambda: describe(demo_file, port),
    )


def read_secret(environ: Mapping[str, str], name: str) -> str:
    """Return setting name, or what the file holds that name_FILE points to; empty if neither.

    Raises EmbeddedError if that file cannot be read.
    """
    file = environ.get(f"{name}_FILE", "")
    if environ.get(name) or not file:
        return environ.get(name, "")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise EmbeddedError(f"Cannot read {name}_FILE: {error}") from None


def read_port(environ: Mapping[str, str]) -> int:
    """Return EXECFABRIC_PORT, 8000 if unset. Raises EmbeddedError if it is no port."""
    text = environ.get("EXECFABRIC_PORT", "").strip() or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise EmbeddedError(f"EXECFABRIC_PORT is {text!r}. It must be a number from 1 to 65535.")
    return int(text)


def read_drain(environ: Mapping[str, str]) -> float:
    """Return EXECFABRIC_DRAIN_S, how long runs may go on when all is stopped, in seconds.

    What is no such number the worker refuses itself, and says why.
    """
    try:
        drain_s = float(environ.get("EXECFABRIC_DRAIN_S", ""))
    except ValueError:
        return DEFAULT_DRAIN_S
    return drain_s if 0 <= drain_s < math.inf else DEFAULT_DRAIN_S


def require_free(port: int, data_dir: Path) -> None:
    """Raise EmbeddedError if somebody listens on port already."""
    other = port + 1 if port < 65535 else DEFAULT_PORT
    hint = f"Set EXECFABRIC_PORT to another one, for example: EXECFABRIC_PORT={other} make demo"
    try:
        taken = is_taken(port)
    except PermissionError:
        raise EmbeddedError(f"No right to open port {port}. {hint}") from None
    if not taken:
        return
    running = read_running(data_dir)
    if running is not None:
        hint = (
            f"ExecFabric already runs on {data_dir} as process {running.pid}. For a second one "
            "set EXECFABRIC_DATA_DIR to another folder and EXECFABRIC_PORT to another port, for "
            f"example: EXECFABRIC_DATA_DIR={data_dir}-2 EXECFABRIC_PORT={other} make demo"
        )
    raise EmbeddedError(f"Port {port} is in use. {hint}")


def child_environment(
    environ: Mapping[str, str], folder: DataFolder, port: int, demo_file: Path
) -> dict[str, str]:
    """Return the environment of every process of the platform, but for the services' URLs."""
    python_path = environ.get("PYTHONPATH", "")
    # The supervisor hands out the URLs themselves.
    url_files = (
        "EXECFABRIC_DATABASE_URL_FILE",
        "EXECFABRIC_DATABASE_OWNER_URL_FILE",
        "EXECFABRIC_REDIS_URL_FILE",
    )
    environment = {
        **{name: value for name, value in environ.items() if name not in url_files},
        "EXECFABRIC_DATA_DIR": str(folder.path),
        "EXECFABRIC_PORT": str(port),
        "EXECFABRIC_DEMO_FILE": str(demo_file),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{python_path}" if python_path else str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    for name, file in (
        ("EXECFABRIC_SECRET_KEY", folder.secret_key),
        ("EXECFABRIC_CREDENTIAL_KEYS", folder.credential_keys),
    ):
        if not environ.get(name) and not environ.get(f"{name}_FILE"):
            environment[f"{name}_FILE"] = str(file)
    return environment


def plan_children(
    folder: DataFolder, port: int, environ: Mapping[str, str]
) -> tuple[ChildPlan, ...]:
    """Return web, tasks and worker, in the order in which they are stopped."""
    domain = environ.get("EXECFABRIC_BASE_DOMAIN") or "localhost"
    ready_file = folder.run / "worker.ready"
    runs = {"--slots": str(WORKER_SLOTS), "--sign-of-life": str(ready_file)}
    # Threads, so that no scan waits behind a check of a submission, which installs packages and
    # takes minutes. Elsewhere these are two processes, which take twice the memory.
    tasks = {
        "--hostname": "tasks@%h",
        "--queues": "celery,hot-update",
        "--pool": "threads",
        "--concurrency": str(TASK_THREADS),
    }
    return (
        ChildPlan("web", _web_command(port), lambda: is_healthy(port, domain)),
        ChildPlan(
            "tasks",
            _celery_command(tasks),
            # Nobody waits for it, and loading the platform keeps a processor busy for seconds.
            starts_last=True,
            withheld=OWNER_ONLY,
        ),
        ChildPlan(
            "worker",
            (sys.executable, str(ROOT / "manage.py"), "run_worker", *arguments_of(runs)),
            ready_file.exists,
            ready_file,
            withheld=OWNER_ONLY,
            stop_timeout_s=read_drain(environ) + STOP_TIMEOUT_S,
        ),
    )


def _web_command(port: int) -> tuple[str, ...]:
    options = {
        "--interface": "wsgi",
        "--host": HOST,
        "--port": str(port),
        "--workers": str(WEB_WORKERS),
        "--blocking-threads": str(WEB_THREADS),
        # Each has connections with all they have prepared; to make them anew costs ten runs.
        "--blocking-threads-idle-timeout": "600",
        # A page that waits for an execution must not hold up the stop.
        "--workers-kill-timeout": "3",
    }
    server = (sys.executable, "-c", WEB_PROGRAM)
    # Else the end of one process is the end of all, requests of the others included.
    flags = ("--respawn-failed-workers",)
    return (*server, *arguments_of(options), *flags, "execfabric.wsgi:application")


def _celery_command(options: Mapping[str, str]) -> tuple[str, ...]:
    celery = (sys.executable, "-m", "celery", "-A", "execfabric.celery", "worker")
    return (*celery, *arguments_of(options), "--loglevel", "info", *WORKERS_ARE_FEW)


def arguments_of(options: Mapping[str, str]) -> tuple[str, ...]:
    """Return options as they stand on a command line."""
    return tuple(part for option in options.items() for part in option)


def is_healthy(port: int, domain: str) -> bool:
    """Return whether the web server says on /healthz that all is well."""
    connection = http.client.HTTPConnection(HOST, port, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz", headers={"Host": f"{domain}:{port}"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def describe(demo_file: Path, port: int) -> str:
    """Return the ready message: a table of hosts and accounts out of demo_file."""
    lines = ["ExecFabric is ready"]
    try:
        demo = json.loads(demo_file.read_text(encoding="utf-8"))
        scheme = demo["base_url"].partition("://")[0]
        rows = [("", "URL", "role", "username", "password")]
        for name, host in demo["hosts"].items():
            accounts = demo["accounts"].get(name) or [{}]
            for place, account in enumerate(accounts):
                label = (name, f"{scheme}://{host}") if place == 0 else ("", "")
                found = (str(account.get(key, "")) for key in ("role", "username", "password"))
                rows.append((*label, *found))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "\n".join([*lines, f"  http://localhost:{port}"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join([*lines, "", f"  Accounts are also in {demo_file}. Ctrl-C stops all."])
