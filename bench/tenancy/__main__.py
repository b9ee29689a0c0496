"""python -m bench.tenancy: what tenancy costs, on a database of its own; prints Markdown."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import django

from bench.execution.figures import median, number, percentile, table
from bench.execution.footprint import Window
from execfabric.embedded import EmbeddedError, Services

if TYPE_CHECKING:
    from bench.tenancy.switching import Cost

TENANTS = 20
LONGEST_OPENING_S = 0.5
INTRODUCTION = """\
## Tenancy

On an otherwise idle database, durable as in production. A request is the tenancy middleware and
two short queries behind it, in one process; every statement sent is counted, those two included.
*Stock* is django-tenants' own backend and middleware, as it comes and with
`TENANT_LIMIT_SET_CALLS`.
"""


def main() -> int:
    """Start a database, measure, print; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="execfabric-bench-tenancy-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the servers may run as another user
        try:
            with Services(folder / "services") as services:
                _set_up_django(services, folder / "data")
                print(_measure())
        except EmbeddedError as error:
            sys.exit(f"bench: {error}")
    return 0


def _set_up_django(services: Services, data_dir: Path) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="execfabric.settings",
        EXECFABRIC_DATA_DIR=str(data_dir),
        EXECFABRIC_DATABASE_URL=services.database_url,
        EXECFABRIC_REDIS_URL=services.redis_url,
        EXECFABRIC_SECRET_KEY=secrets.token_urlsafe(50),
        EXECFABRIC_BASE_DOMAIN="localhost",
        EXECFABRIC_LOG_LEVEL="ERROR",
    )
    django.setup()


def _measure() -> str:
    # Models can be imported only now.
    from django.db import connections

    from bench.tenancy.opening import open_tenants
    from bench.tenancy.switching import measure
    from tenants.registry.migrating import migrate_platform

    try:
        migrate_platform(lambda _line: None)
        window = Window()
        seconds = open_tenants(TENANTS)
        costs = measure(list(seconds))
        share = window.foreign_share()
    finally:
        connections.close_all()
    return "\n\n".join(
        (
            INTRODUCTION.strip(),
            _opening_table(list(seconds.values())),
            _request_table(costs),
            f"Other programs used {number(share * 100, 0)} % of the machine meanwhile.",
        )
    )


def _opening_table(seconds: list[float]) -> str:
    row = [
        "schema, host, roles, menu, owner with a password",
        str(len(seconds)),
        number(median(seconds) * 1000),
        number(percentile(seconds, 95) * 1000),
        number(LONGEST_OPENING_S * 1000, 0),
    ]
    return table(["Opening a tenant", "n", "median ms", "p95 ms", "median must be below"], [row])


def _request_table(costs: Mapping[str, Mapping[str, Cost]]) -> str:
    """Return one row a situation and variant; the first variant is what others compare to."""
    rows = []
    for situation, by_variant in costs.items():
        stock_s = median(next(iter(by_variant.values())).seconds)
        for variant, cost in by_variant.items():
            typical_s = median(cost.seconds)
            rows.append(
                [
                    f"{situation}: {variant}",
                    str(len(cost.seconds)),
                    number(median(cost.statements), 0),
                    number(typical_s * 1_000_000, 0),
                    number(typical_s / stock_s, 2),
                ]
            )
    return table(["Request", "n", "SQL statements", "median µs", "x stock"], rows)


if __name__ == "__main__":
    sys.exit(main())
