"""What choosing the tenant adds to a request: ours next to stock django-tenants.

A request here is the tenancy middleware and two short queries behind it, in this process. All
variants take turns on every host, each in a session of its own. Stock logs in as the owner, a
superuser, since it knows no roles; ours as the application, and takes the tenant's role.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.module_loading import import_string

from skills.catalogue.models import Skill
from tenants.accounts.models import Account
from tenants.registry.hosts import announce_tenant_change

STOCK_ENGINE = "django_tenants.postgresql_backend"
STOCK_MIDDLEWARE = "django_tenants.middleware.main.TenantMainMiddleware"
OURS = "ExecFabric, schema and role"
FIRST_REPEATS = 20
REPEATS = 200
COUNTED = 6
"""Visits of which the messages are counted; counting takes time, so these are not timed."""
HEARD_WITHIN_S = 0.05
"""A process forgets its hosts when it hears of a change; after that long it has."""


@dataclass
class Variant:
    """One way to choose the tenant. limit_set_calls is TENANT_LIMIT_SET_CALLS."""

    name: str
    engine: str
    middleware: str
    login: Mapping[str, Any]
    limit_set_calls: bool
    connection: Any = None
    answer: Callable[[HttpRequest], HttpResponse] = field(default=lambda _request: HttpResponse())

    def begin(self) -> None:
        """Begin anew: a session just opened, by a request for no tenant."""
        self.end()
        backend = import_module(f"{self.engine}.base")
        options = {**connections.settings["default"], **self.login, "ENGINE": self.engine}
        self.connection = backend.DatabaseWrapper(options, "default")
        self.answer = import_string(self.middleware)(_two_queries)
        self.request(f"admin.{settings.BASE_DOMAIN}")

    def end(self) -> None:
        if self.connection is not None:
            self.connection.close()

    def request(self, host: str) -> float:
        """Answer one request for host; return its seconds."""
        settings.TENANT_LIMIT_SET_CALLS = self.limit_set_calls
        connections["default"] = self.connection
        request = RequestFactory(headers={"host": host}).get("/")
        began_at = time.perf_counter()
        self.answer(request)
        return time.perf_counter() - began_at

    def messages(self, host: str) -> int:
        """Answer one request for host; return how often it asked the server something."""
        with _asked(self.connection) as asked:
            self.request(host)
        return len(asked)


@dataclass
class Cost:
    """Of one variant in one situation, request by request."""

    messages: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def variants() -> list[Variant]:
    """Return stock django-tenants as it comes, with its own saving switched on, and ours."""
    ours = "tenants.registry.middleware.TenantMiddleware"
    owner = settings.DATABASE_OWNER or {}
    return [
        Variant("stock django-tenants", STOCK_ENGINE, STOCK_MIDDLEWARE, owner, False),
        Variant("stock, fewer SETs", STOCK_ENGINE, STOCK_MIDDLEWARE, owner, True),
        Variant(OURS, "tenants.postgresql", ours, {}, True),
    ]


def measure(names: Sequence[str]) -> dict[str, dict[str, Cost]]:
    """Return the cost by situation and variant; names are all tenants."""
    hosts = [f"{name}.{settings.BASE_DOMAIN}" for name in names]
    candidates = variants()
    before = connections["default"]
    try:
        for each in candidates:
            each.begin()
        time.sleep(1.0)  # until our middleware hears of changes, and so trusts what it knows
        first = _take_turns(candidates, spread(hosts, FIRST_REPEATS), before_each=_forget)
        for host in hosts:
            for each in candidates:
                each.request(host)
        return {
            "first request of a tenant in a process": first,
            "another tenant than before": _take_turns(candidates, spread(hosts, REPEATS)),
            "same tenant again": _take_turns(candidates, [hosts[-1]] * REPEATS),
        }
    finally:
        for each in candidates:
            each.end()
        connections["default"] = before


def spread(hosts: Sequence[str], visits: int) -> list[str]:
    """Return that many visits to hosts, evenly over all of them, in turn."""
    if len(hosts) < visits:
        return [hosts[turn % len(hosts)] for turn in range(visits)]
    return [hosts[turn * len(hosts) // visits] for turn in range(visits)]


def _forget(variant: Variant) -> None:
    """Make it the first request of a tenant: unknown host, and a session that met no tenant."""
    announce_tenant_change()
    time.sleep(HEARD_WITHIN_S)
    variant.begin()


def _take_turns(
    candidates: Sequence[Variant],
    visits: Sequence[str],
    before_each: Callable[[Variant], None] = lambda _variant: None,
) -> dict[str, Cost]:
    costs = {each.name: Cost() for each in candidates}
    # One more than is counted, whose only purpose is that another tenant was before.
    for turn, host in enumerate([*visits[-1:], *visits[:COUNTED]]):
        for each in candidates:
            before_each(each)
            messages = each.messages(host)
            if turn > 0:
                costs[each.name].messages.append(messages)
    for host in [*visits[COUNTED:], *visits[:COUNTED]]:
        for each in candidates:
            before_each(each)
            costs[each.name].seconds.append(each.request(host))
    return costs


def _two_queries(_request: HttpRequest) -> HttpResponse:
    known = Account.objects.filter(username="owner").exists()
    skills = Skill.objects.count()
    return HttpResponse(f"{known} {skills}")


@contextmanager
def _asked(session: Any) -> Iterator[list[str]]:
    """Yield a list that holds, afterwards, one line a message that asked the server something.

    It is libpq that writes them down, so it does not matter who sent the message, and how.
    """
    asked: list[str] = []
    with tempfile.TemporaryFile("w+") as trace:
        session.connection.pgconn.trace(trace.fileno())
        try:
            yield asked
        finally:
            session.connection.pgconn.untrace()
        trace.seek(0)
        # One question is either one simple Query, or an extended one, which ends with a Sync.
        asked += [line for line in trace if "\tQuery\t" in line or "\tSync" in line]
