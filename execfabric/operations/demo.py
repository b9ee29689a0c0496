"""The demo's data: governance, two customers, the free edition, example skills."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import DomainError
from execfabric.core.roles import Role
from executors.contract import ExecutorError
from executors.script.bundle import read_bundle
from skills.catalogue.models import ScriptVersion
from skills.catalogue.services import onboard_script
from tenants.accounts.actors import actor_for_account
from tenants.accounts.models import Account
from tenants.accounts.services import create_account
from tenants.registry.addresses import url_for_host
from tenants.registry.models import Tenant, TenantKind
from tenants.registry.services import OwnerRequest, open_free_edition, open_tenant

from .demo_submissions import People, seed_submissions

Progress = Callable[[str], None]
EXAMPLES = Path(settings.BASE_DIR) / "examples"


@dataclass(frozen=True, slots=True)
class Person:
    username: str
    display_name: str
    role: Role


CAST: dict[str, tuple[Person, ...]] = {
    "admin": (Person("sam", "Sam Super", Role.PLATFORM_ADMIN),),
    "acme": (
        Person("olivia", "Olivia Owner", Role.OWNER),
        Person("dana", "Dana Developer", Role.DEVELOPER),
        Person("oscar", "Oscar Operator", Role.OPERATOR),
        Person("anna", "Anna Approver", Role.APPROVER),
        Person("victor", "Victor Viewer", Role.VIEWER),
    ),
    "globex": (
        Person("gina", "Gina Owner", Role.OWNER),
        Person("oscar", "Oscar Operator", Role.OPERATOR),
    ),
    "free": (Person("frida", "Frida Free", Role.OWNER),),
}
"""By name of the host; Oscar is two people, one in each tenant."""

SUBMITTING = "acme"
"""Whose skills came by submissions; the others got theirs from the operator's command line."""
TITLES = {"acme": "Acme Trading", "globex": "Globex Logistics"}


def seed_demo(progress: Progress) -> dict[str, Any]:
    """Create what is missing and return the document of ``demo.json``; what is there stays."""
    passwords = _Passwords(Path(settings.DATA_DIR) / "demo_passwords.json")
    tenants = _open_tenants(passwords, progress)
    for name, tenant in tenants.items():
        with schema_context(tenant.schema_name):
            _create_accounts(name, passwords)
    people = _people_of_submissions(tenants[SUBMITTING])
    seed_submissions(people, EXAMPLES, progress)
    for name, tenant in tenants.items():
        if not tenant.is_platform:
            with schema_context(tenant.schema_name):
                _onboard_examples(name, progress)
    return _document(tenants, passwords)


def write_demo_file(document: dict[str, Any], path: Path) -> None:
    """Write document where only this user can read it, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(document, stream, indent=2)
        stream.write("\n")
    partial.replace(path)


class _Passwords:
    """The demo accounts' passwords, made once and kept beside the data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def of(self, host: str, username: str) -> str:
        key = f"{host}/{username}"
        if key not in self.known:
            self.known[key] = f"{username}-{secrets.token_hex(5)}"
            write_demo_file(self.known, self.path)
        return self.known[key]


def _open_tenants(passwords: _Passwords, progress: Progress) -> dict[str, Tenant]:
    actor = Actor.system("demo", door=Door.COMMAND)
    for name, title in TITLES.items():
        if Tenant.objects.filter(name=name).exists():
            continue
        progress(f"opening the tenant {name}")
        person = CAST[name][0]
        owner = OwnerRequest(
            person.username,
            display_name=person.display_name,
            password=passwords.of(name, person.username),
        )
        open_tenant(actor=actor, name=name, title=title, owner=owner)
    if not Tenant.objects.filter(kind=TenantKind.FREE).exists():
        progress("opening the free edition")
        open_free_edition(actor=actor, title="ExecFabric Free")
    platform = Tenant.objects.get(schema_name=get_public_schema_name())
    free = Tenant.objects.get(kind=TenantKind.FREE)
    customers = {name: Tenant.objects.get(name=name) for name in TITLES}
    return {"admin": platform, **customers, "free": free}


def _create_accounts(host: str, passwords: _Passwords) -> None:
    for person in CAST[host]:
        if Account.objects.filter(username=person.username).exists():
            continue
        is_admin = person.role == Role.PLATFORM_ADMIN
        create_account(
            actor=Actor.system("demo", door=Door.COMMAND),
            username=person.username,
            display_name=person.display_name,
            roles=frozenset() if is_admin else frozenset({person.role}),
            password=passwords.of(host, person.username),
            is_platform_admin=is_admin,
        )


def _people_of_submissions(tenant: Tenant) -> People:
    """Return who submits in tenant and who decides: the demo's developer and super-admin."""
    with schema_context(tenant.schema_name):
        developer = actor_for_account(Account.objects.get(username="dana"), door=Door.COMMAND)
    with schema_context(get_public_schema_name()):
        sam = Account.objects.get(username="sam")
        # No person is asked here: the demo gave the account its password itself.
        reviewer = actor_for_account(sam, door=Door.COMMAND, is_proven=True)
    return People(tenant, developer, reviewer)


def _onboard_examples(tenant: str, progress: Progress) -> None:
    for folder in sorted(path for path in EXAMPLES.iterdir() if (path / "README.md").exists()):
        try:
            bundle = read_bundle(folder)
            if ScriptVersion.objects.filter(digest=bundle.digest).exists():
                continue
            version = onboard_script(actor=Actor.system("demo", door=Door.COMMAND), bundle=bundle)
        except (DomainError, ExecutorError) as error:
            progress(f"left out {folder.name} in {tenant}: {error}")
        else:
            progress(f"{tenant}: {version} is ready")


def _document(tenants: dict[str, Tenant], passwords: _Passwords) -> dict[str, Any]:
    base = url_for_host(settings.BASE_DOMAIN, "")
    port = base.rpartition(":")[2] if base.count(":") == 2 else ""
    hosts = {}
    for name, tenant in tenants.items():
        domain = tenant.domains.get(is_primary=True).domain
        hosts[name] = f"{domain}:{port}" if port else domain
    accounts = {
        host: [
            {
                "username": person.username,
                "password": passwords.of(host, person.username),
                "role": str(person.role),
            }
            for person in people
        ]
        for host, people in CAST.items()
    }
    return {"base_url": base, "hosts": hosts, "accounts": accounts}
