"""The cast of the tests, and the two tenants they share.

Every worker builds its database once, with the tenants acme and globex in it. A test runs in a
transaction that is rolled back, so tenants are never built again.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import Client
from django_tenants.utils import schema_context
from rest_framework.test import APIClient

from execfabric.core.actor import Actor, Door
from execfabric.core.roles import Role
from tenants.postgresql.owner import open_owner_session
from tests.owner import owner_connection

pytest_plugins = ["tests.garbage", "tests.live"]
# How long an example takes says how busy the machine is, by default at 0.2 s already.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

PASSWORD = "correct horse battery"
ACCOUNTS: dict[str, dict[str, Role]] = {
    "acme": {
        "olivia": Role.OWNER,
        "dana": Role.DEVELOPER,
        "oscar": Role.OPERATOR,
        "anna": Role.APPROVER,
        "victor": Role.VIEWER,
    },
    "globex": {"gina": Role.OWNER, "oscar": Role.OPERATOR},
}
MIGRATED = "test_migrated"
HOSTS = {"acme": "acme.localhost", "globex": "globex.localhost", "public": "admin.localhost"}


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> Iterator[None]:
    """Create this worker's database and everything in it."""
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with owner_connection() as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        with django_db_blocker.unblock():
            _migrate_once(server)
        server.execute(f"CREATE DATABASE {name} TEMPLATE {MIGRATED}")
    # Roles belong to the whole server: each worker has a login of its own, too.
    connection.settings_dict.update(NAME=name, USER=f"{name}_app")
    with django_db_blocker.unblock():
        _build()
        yield
        connection.close()


def _migrate_once(server: Any) -> None:
    """Make the database that all workers copy: with every table, and no role, tenant or account.

    The first worker makes it, the others wait for that meanwhile.
    """
    from tenants.postgresql.owner import as_owner
    from tenants.registry.provisioning import prepare_template

    partial = f"{MIGRATED}_partial"
    server.execute("SELECT pg_advisory_lock(hashtext(%s))", [MIGRATED])
    try:
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [MIGRATED]).fetchone():
            return
        server.execute(f"DROP DATABASE IF EXISTS {partial} WITH (FORCE)")  # Of one that failed.
        server.execute(f"CREATE DATABASE {partial}")
        connection.settings_dict.update(NAME=partial)
        with as_owner():
            call_command("migrate_schemas", schema_name="public", verbosity=0, interactive=False)
            prepare_template()
        server.execute(f"ALTER DATABASE {partial} RENAME TO {MIGRATED}")
    finally:
        server.execute("SELECT pg_advisory_unlock(hashtext(%s))", [MIGRATED])


def _build() -> None:
    from tenants.accounts.services import create_account
    from tenants.registry.migrating import migrate_platform
    from tenants.registry.services import OwnerRequest, open_free_edition, open_tenant

    migrate_platform(lambda _line: None)
    actor = Actor.system("tests", door=Door.COMMAND)
    create_account(
        actor=actor, username="sam", roles=frozenset(), password=PASSWORD, is_platform_admin=True
    )
    open_free_edition(actor=actor, title="Free")
    for name, people in ACCOUNTS.items():
        owner, *others = people
        tenant = open_tenant(
            actor=actor,
            name=name,
            title=name.title(),
            owner=OwnerRequest(owner, password=PASSWORD),
        )
        with schema_context(tenant.schema_name):
            for username in others:
                create_account(
                    actor=Actor.system("tests", door=Door.COMMAND),
                    username=username,
                    roles=frozenset({people[username]}),
                    password=PASSWORD,
                )


def tenant_named(name: str) -> Any:
    """Return the tenant of that name; only the public domain knows them all."""
    from tenants.registry.models import Tenant

    with schema_context("public"):
        return Tenant.objects.get(name=name)


def _enter(name: str) -> Iterator[Any]:
    from tenants.registry import hosts

    # What one test looked up must not be known in the next: its tenants were rolled back.
    hosts._this_process_cache().forget()
    tenant = tenant_named(name)
    connection.set_tenant(tenant)
    yield tenant
    connection.set_schema_to_public()


@pytest.fixture
def hosts_stay_known(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until this process hears of changes, so that a host it knows costs no statement.

    On a busy machine it may hear nothing for a while then, and still counts as listening.
    """
    from tenants.registry import hosts

    monkeypatch.setattr(hosts, "HEARD_S", 60.0)
    hosts.tenant_for_host("acme.localhost")  # Begins to listen.
    give_up_at = time.monotonic() + 60
    while not time.monotonic() - hosts._cache.heard_at < hosts.HEARD_S:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


@pytest.fixture
def owner_session(db: None) -> Iterator[None]:
    """Everything the test does, opening tenants among it, is the owner's and is rolled back."""
    public = connections["default"]
    session = open_owner_session(public)
    connections["default"] = session
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    finally:
        connections["default"] = public
        session.close()


@pytest.fixture(autouse=True)
def own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed logins are counted for each test by itself: all share one server, which would keep
    an account locked for the tests after it, and must not forget what others count there."""
    from axes.handlers import cache

    from tenants.accounts import lockout

    mark, key_of, keys_of = secrets.token_hex(8), lockout._key, cache.get_client_cache_keys
    monkeypatch.setattr(lockout, "_key", lambda *parts: f"{mark}:{key_of(*parts)}")
    monkeypatch.setattr(
        cache,
        "get_client_cache_keys",
        lambda *args: [f"{mark}:{key}" for key in keys_of(*args)],
    )


@pytest.fixture
def acme(db: None) -> Iterator[Any]:
    """The tenant acme; the test runs in its schema."""
    yield from _enter("acme")


@pytest.fixture
def globex(db: None) -> Iterator[Any]:
    """The tenant globex; the test runs in its schema."""
    yield from _enter("globex")


@pytest.fixture
def platform(db: None) -> Iterator[Any]:
    """The public domain; the test runs in its schema."""
    yield from _enter("admin")


@pytest.fixture
def person(db: None) -> Callable[..., SimpleNamespace]:
    """Return a maker: ``person("oscar")`` of the current schema, with actor and clients."""
    from tenants.accounts.actors import actor_for_account
    from tenants.accounts.models import Account, ApiToken
    from tenants.accounts.sessions.store import PROVEN_AT

    def make(username: str) -> SimpleNamespace:
        account = Account.objects.get(username=username)
        host = connection.tenant.get_primary_domain().domain
        browser = Client(headers={"host": host}, SERVER_NAME=host)
        browser.force_login(account, backend="django.contrib.auth.backends.ModelBackend")
        session = browser.session
        session[PROVEN_AT] = time.time()  # As after a login by page.
        session.save()
        token = ApiToken.objects.create(user=account)[1]
        api = APIClient(SERVER_NAME=host)
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_HOST=host)
        return SimpleNamespace(
            account=account,
            actor=actor_for_account(account, door=Door.API, is_proven=True),
            browser=browser,
            api=api,
            token=token,
        )

    return make
