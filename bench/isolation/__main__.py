"""Measure what keeping tenants apart costs, next to stock django-tenants, and how it grows."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import django

from bench.execution.footprint import Window
from bench.execution.target import BenchError
from bench.isolation.page import AtSize, isolation_page
from bench.isolation.release import Releases
from execfabric.embedded import EmbeddedError, Services


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a database, measure, print; write the page if asked to. Return the exit code."""
    options = _read_options(arguments)
    with tempfile.TemporaryDirectory(prefix="execfabric-bench-isolation-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the servers may run as another user
        try:
            with Services(folder / "services") as services:
                _set_up_django(services, folder / "data")
                text = _measure(options, Releases(folder / "newer", services.database_owner_url))
        except (BenchError, EmbeddedError) as error:
            sys.exit(f"bench: {error}")
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
        _say(f"{options.write} is written")
    return 0


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.isolation",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--write", type=Path, metavar="FILE", help="write the page there")
    add("--tenants", type=_sizes, default="2,100,1000", help="measure with so many, growing")
    add("--openings", type=int, default=20, help="openings measured with each number of tenants")
    add("--commands", type=int, default=3, help="runs of each command with nothing to do")
    add("--no-upgrades", action="store_true", help="leave out upgrading all of them")
    return parser.parse_args(arguments)


def _sizes(text: str) -> list[int]:
    sizes = sorted({int(part) for part in text.split(",")})
    if sizes[0] < 2:
        raise argparse.ArgumentTypeError("two tenants at least")
    return sizes


def _set_up_django(services: Services, data_dir: Path) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="execfabric.settings",
        EXECFABRIC_DATA_DIR=str(data_dir),
        EXECFABRIC_DATABASE_URL=services.database_url,
        EXECFABRIC_DATABASE_OWNER_URL=services.database_owner_url,
        EXECFABRIC_REDIS_URL=services.redis_url,
        EXECFABRIC_SECRET_KEY=secrets.token_urlsafe(50),
        EXECFABRIC_BASE_DOMAIN="localhost",
        EXECFABRIC_LOG_LEVEL="ERROR",
    )
    django.setup()


def _measure(options: argparse.Namespace, releases: Releases) -> str:
    # Models can be imported only now.
    from django.db import connections

    from bench.isolation import upgrades
    from tenants.postgresql.owner import as_owner
    from tenants.registry.migrating import migrate_platform
    from tenants.registry.selectors import customer_schemas

    try:
        migrate_platform(lambda _line: None)
        names: list[str] = []
        sizes = [_measure_at(each, names, options, releases) for each in options.tenants]
        with as_owner():
            schemas = customer_schemas()
        connections.close_all()
        found = None
        if not options.no_upgrades:
            _say(f"upgrading {len(schemas)} tenants")
            window = Window()
            found = upgrades.measure(releases, schemas)
            found.foreign_share = window.foreign_share()
    finally:
        connections.close_all()
    return isolation_page(sizes, found)


def _measure_at(
    tenants: int, names: list[str], options: argparse.Namespace, releases: Releases
) -> AtSize:
    """Open tenants until there are so many, measure, and open some more; names grows."""
    from bench.isolation import requests
    from bench.isolation.openings import open_tenants
    from bench.isolation.upgrades import idle_commands

    _say(f"opening tenants until there are {tenants}")
    for name, _seconds in open_tenants(range(len(names), tenants)):
        names.append(name)
    window = Window()
    size = AtSize(tenants, {})
    for name, seconds in open_tenants(range(len(names), len(names) + options.openings)):
        names.append(name)
        size.openings.append(seconds)
    _say("measuring requests and commands")
    size.costs = requests.measure(names[:tenants])
    size.migrations, size.checks = idle_commands(releases, options.commands)
    size.foreign_share = window.foreign_share()
    return size


def _say(text: str) -> None:
    print(f"# {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
