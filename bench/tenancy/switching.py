"""What choosing the tenant adds to a request: ours next to stock django-tenants.

A request here is the tenancy middleware and two short queries behind it, in this process. All
variants take turns on every host, each on a connection of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.module_loading import import_string

from skills.catalogue.models import Skill
from tenants.accounts.models import Account

STOCK_ENGINE = "django_tenants.postgresql_backend"
STOCK_MIDDLEWARE = "django_tenants.middleware.main.TenantMainMiddleware"
REPEATS = 200


@dataclass
class Variant:
    """One way to choose the tenant. limit_set_calls is TENANT_LIMIT_SET_CALLS."""

    name: str
    engine: str
    middleware: str
    limit_set_calls: bool
    connection: Any = None
    answer: Callable[[HttpRequest], HttpResponse] = field(default=lambda _request: HttpResponse())

    def prepare(self) -> None:
        """Open its connection and make its middleware."""
        backend = import_module(f"{self.engine}.base")
        options = {**connections.settings["default"], "ENGINE": self.engine}
        self.connection = backend.DatabaseWrapper(options, "default")
        self.answer = import_string(self.middleware)(_two_queries)

    def request(self, host: str) -> float:
        """Answer one request for host; return its seconds."""
        settings.TENANT_LIMIT_SET_CALLS = self.limit_set_calls
        connections["default"] = self.connection
        request = RequestFactory(headers={"host": host}).get("/")
        began_at = time.perf_counter()
        self.answer(request)
        return time.perf_counter() - began_at


@dataclass
class Cost:
    """Of one variant in one situation: SQL statements and seconds, request by request."""

    statements: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def variants() -> list[Variant]:
    """Return stock django-tenants as it comes, with its own saving switched on, and ours."""
    ours = "tenants.registry.middleware.TenantMiddleware"
    return [
        Variant("stock django-tenants", STOCK_ENGINE, STOCK_MIDDLEWARE, limit_set_calls=False),
        Variant("stock, fewer SETs", STOCK_ENGINE, STOCK_MIDDLEWARE, limit_set_calls=True),
        Variant("ExecFabric", "tenants.postgresql", ours, limit_set_calls=True),
    ]


def measure(names: Sequence[str]) -> dict[str, dict[str, Cost]]:
    """Return the cost by situation and variant. names are tenants no request has asked for yet."""
    hosts = [f"{name}.{settings.BASE_DOMAIN}" for name in names]
    situations = {
        "first request of a tenant": hosts,
        "same tenant again": [hosts[-1]] * REPEATS,
        "another tenant than before": [hosts[turn % len(hosts)] for turn in range(REPEATS)],
    }
    candidates = variants()
    before = connections["default"]
    with _counted_statements() as counted:
        try:
            for each in candidates:
                each.prepare()
                each.request(f"admin.{settings.BASE_DOMAIN}")  # connects
            time.sleep(1.0)  # until our middleware hears of changes, and so trusts what it knows
            return {
                title: _take_turns(candidates, visits, counted)
                for title, visits in situations.items()
            }
        finally:
            for each in candidates:
                if each.connection is not None:
                    each.connection.close()
            connections["default"] = before


def _take_turns(
    candidates: Sequence[Variant], visits: Sequence[str], counted: list[None]
) -> dict[str, Cost]:
    costs = {each.name: Cost() for each in candidates}
    for host in visits:
        for each in candidates:
            counted.clear()
            costs[each.name].seconds.append(each.request(host))
            costs[each.name].statements.append(len(counted))
    return costs


def _two_queries(_request: HttpRequest) -> HttpResponse:
    known = Account.objects.filter(username="owner").exists()
    skills = Skill.objects.count()
    return HttpResponse(f"{known} {skills}")


@contextmanager
def _counted_statements() -> Iterator[list[None]]:
    """Yield a list that grows by one with each statement sent, those of the backends included."""
    counted: list[None] = []
    execute = psycopg.Cursor.execute

    def counting(self: Any, *arguments: Any, **options: Any) -> Any:
        counted.append(None)
        return execute(self, *arguments, **options)

    psycopg.Cursor.execute = counting  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]
