from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from execfabric.embedded.data_dir import DataFolder
from execfabric.embedded.demo import plan_children
from execfabric.settings.environment import Environment
from tests.docs.pages import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "web", "worker", "beat", "checks")
ONE_SHOT = ("migrate",)
OWNER = "EXECFABRIC_DATABASE_OWNER_URL"
AUDIT_KEY = "EXECFABRIC_AUDIT_KEY"
SETTINGS = {f"EXECFABRIC_{name.upper()}" for name in Environment.model_fields}


def test_everything_the_platform_needs_is_there() -> None:
    assert set(SERVICES) == {*OURS, "postgres", "redis"}


def test_every_variable_is_a_setting() -> None:
    named = set(re.findall(r"EXECFABRIC_[A-Z_]*[A-Z]", TEXT))

    assert named <= SETTINGS


@pytest.mark.parametrize("name", OURS)
def test_the_processes_of_the_platform_share_one_image_and_one_environment(name: str) -> None:
    assert SERVICES[name]["image"] == SERVICES["web"]["image"]
    environment = {**SERVICES[name]["environment"]}
    environment.pop(AUDIT_KEY, None)
    owner = {OWNER: environment.pop(OWNER, SERVICES["web"]["environment"][OWNER])}
    assert {**environment, **owner} == SERVICES["web"]["environment"]
    assert SERVICES[name]["volumes"] == ["data:/data"]


def test_only_what_opens_tenants_knows_the_owner_of_the_database() -> None:
    assert {name for name in OURS if OWNER in SERVICES[name]["environment"]} == {"migrate", "web"}


def test_only_the_clock_can_sign_seals() -> None:
    assert [name for name in OURS if AUDIT_KEY in SERVICES[name]["environment"]] == ["beat"]


def test_there_is_no_default_for_a_secret() -> None:
    for name in (
        "EXECFABRIC_AUDIT_KEY",
        "EXECFABRIC_SECRET_KEY",
        "POSTGRES_PASSWORD",
        "POSTGRES_APP_PASSWORD",
        "REDIS_PASSWORD",
    ):
        uses = re.findall(rf"\$\{{{name}[^}}]*\}}", TEXT)
        assert uses, name
        assert all(use.startswith(f"${{{name}:?") for use in uses), uses


def test_the_environment_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """With only what .env must have, every value is one that the settings take."""
    given = {
        "EXECFABRIC_BASE_DOMAIN": "skills.example.org",
        "EXECFABRIC_SECRET_KEY": "x" * 50,
        "POSTGRES_PASSWORD": "secret",
        "POSTGRES_APP_PASSWORD": "hidden",
        "REDIS_PASSWORD": "secret",
    }
    for name, value in SERVICES["web"]["environment"].items():
        monkeypatch.setenv(name, _filled(str(value), given))

    environment = Environment()

    assert environment.base_domain == "skills.example.org"
    database = "@postgres:5432/execfabric"
    assert environment.database_url == f"postgresql://execfabric_app:hidden{database}"
    assert environment.database_owner_url == f"postgresql://execfabric:secret{database}"
    assert environment.redis_url == "redis://:secret@redis:6379/0"
    assert environment.https is True
    assert environment.admin_usernames == frozenset()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_a_health_check_or_ends_by_itself(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_runs_as_root_or_gains_rights(name: str) -> None:
    service = SERVICES[name]

    assert service["user"] not in ("root", "0", "", None)
    # The worker locks scripts in itself, which Docker's filters would forbid it to.
    opened = ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"]
    assert service["security_opt"] == [
        "no-new-privileges:true", *(opened if name in ("worker", "checks") else []),
    ]  # fmt: skip
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid"}


def test_only_web_has_a_port_and_only_for_this_host() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    assert SERVICES["web"]["ports"] == ["127.0.0.1:${EXECFABRIC_PORT:-8000}:8000"]


def test_what_is_kept_lies_in_named_volumes() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]

    assert {mount.partition(":")[0] for mount in mounts} == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", ["web", "worker", "beat", "checks"])
def test_the_platform_waits_for_a_prepared_database(name: str) -> None:
    waits = SERVICES[name]["depends_on"]

    assert waits["migrate"] == {"condition": "service_completed_successfully"}
    assert waits["postgres"] == waits["redis"] == {"condition": "service_healthy"}


def test_beat_and_checks_serve_the_queues_of_the_demo() -> None:
    demo = _command_of_demo("tasks")
    beat, checks = SERVICES["beat"]["command"], SERVICES["checks"]["command"]
    served = [command[command.index("--queues") + 1] for command in (beat, checks)]

    assert demo[demo.index("--queues") + 1].split(",") == served


def test_checks_are_made_beside_the_clock_in_the_sandbox_of_the_worker() -> None:
    ours = SERVICES["checks"]["command"]

    assert "--beat" not in ours
    assert SERVICES["checks"]["security_opt"] == SERVICES["worker"]["security_opt"]


def test_the_worker_is_started_as_in_the_demo_and_stops_before_it_is_killed() -> None:
    worker = SERVICES["worker"]
    command = worker["command"]

    assert "run_worker" in command
    assert "run_worker" in _command_of_demo("worker")
    assert worker["stop_grace_period"] == "5m"
    assert float(command[command.index("--grace") + 1]) < 5 * 60


def test_a_health_check_asks_the_right_one() -> None:
    worker, beat = SERVICES["worker"], SERVICES["beat"]
    sign = worker["command"][worker["command"].index("--sign-of-life") + 1]

    assert f"find {sign} -mmin -1" in worker["healthcheck"]["test"][1]
    assert beat["command"][beat["command"].index("-n") + 1] == "beat@%h"
    assert "-d beat@$$(hostname)" in beat["healthcheck"]["test"][1]


def _command_of_demo(name: str) -> tuple[str, ...]:
    plans = plan_children(DataFolder(ROOT), 1, {})
    [command] = [plan.command for plan in plans if plan.name == name]
    return command


def _filled(text: str, given: dict[str, str]) -> str:
    """Substitute ``${NAME:-default}`` and ``${NAME:?message}`` as compose does."""

    def fill(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if operator == ":?":
            assert name in given, f"{name} is required but not in the list of the docs"
        return given.get(name, rest)

    return re.sub(r"\$\{([A-Z_]+)(:[-?])([^}]*)\}", fill, text)
