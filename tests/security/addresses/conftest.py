"""Two filled tenants, acme's and globex's, and everybody who may knock at a door of theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django_tenants.utils import tenant_context

from execfabric.core.actor import Actor, Door
from tenants.accounts.services import create_account
from tests.conftest import PASSWORD, tenant_named

from .asking import Asker, Person
from .worlds import World, build_world, level_sequences


@dataclass(frozen=True, slots=True)
class Stage:
    """Both tenants, filled alike; only the marks of their texts differ."""

    acme: World
    globex: World


@pytest.fixture
def stage(db: None, tmp_path: Path, settings: Any) -> Stage:
    """acme and globex, filled with equal numbers as primary keys; nobody is locked out."""
    settings.AXES_FAILURE_LIMIT = 1_000_000
    acme, globex = (tenant_named(name) for name in ("acme", "globex"))
    level_sequences(acme, globex)
    built = Stage(build_world(acme, "wombat", tmp_path), build_world(globex, "quokka", tmp_path))
    assert built.acme.person.pk == built.globex.person.pk
    return built


@pytest.fixture
def asker() -> Asker:
    return Asker()


@pytest.fixture
def of_host(person: Callable[..., Any]) -> Callable[[str, str], Person]:
    """Return a maker: ``of_host("acme", "oscar")``, with the credentials of that tenant."""

    def make(name: str, username: str) -> Person:
        with tenant_context(tenant_named(name)):
            found = person(username)
        session = found.browser.cookies[settings.SESSION_COOKIE_NAME].value
        return Person(f"{username} of {name}", session, found.token)

    return make


@pytest.fixture
def norma(db: None, of_host: Callable[[str, str], Person]) -> Person:
    """Somebody with an account of the admin host who is no super-admin."""
    with tenant_context(tenant_named("admin")):
        create_account(
            actor=Actor.system("tests", door=Door.COMMAND),
            username="norma",
            roles=frozenset(),
            password=PASSWORD,
        )
    return of_host("admin", "norma")
