"""The measurements as Markdown: docs/benchmarks-isolation.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.execution.figures import median, number, table
from bench.execution.machine import facts

if TYPE_CHECKING:
    from bench.isolation.requests import Cost
    from bench.isolation.upgrades import Upgrades

INTRODUCTION = """\
# Benchmarks: keeping tenants apart

What a schema and a role for each tenant cost, and how that grows with the number of tenants.
`python -m bench.isolation --write docs/benchmarks-isolation.md` measures it and replaces this page;
how each figure is taken stands in `bench/README.md`. On a database of its own, durable as in
production.

Read the ratios: they compare things measured in the same run. Milliseconds of another machine, or
of another day, mean little.
"""
REQUESTS = """\
## A request

The tenancy middleware and two short queries behind it, in one process. *Messages* are those that
ask PostgreSQL something and wait for its answer, the two queries included. *Stock* is
django-tenants' own backend and middleware, as it comes and with `TENANT_LIMIT_SET_CALLS`; it logs
in as a superuser. ExecFabric logs in as a role without rights and takes the tenant's role.
"""
OPENINGS = """\
## Opening a tenant

Schema, role, host, roles, menu and the owner's account, who gets a link to choose a password.
Minutes lie between the rows, so what other programs did matters; least to the fastest opening.
"""
COMMANDS = """\
## Commands with nothing to do

Whole commands, of which starting Python and Django is most with few tenants.
"""
UPGRADES = """\
## Upgrading all tenants

To a version with one more migration: a column and an index on it. Whole commands, with the public
schema, the template, rights and menus; stock's `migrate_schemas` for a sample of the tenants, its
start not included.
"""


@dataclass
class AtSize:
    """What was measured while there were so many tenants; seconds."""

    tenants: int
    costs: Mapping[str, Mapping[str, Cost]]
    openings: list[float] = field(default_factory=list)
    migrations: list[float] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    foreign_share: float = 0.0


def isolation_page(sizes: Sequence[AtSize], upgrades: Upgrades | None) -> str:
    """Return the whole page; upgrades are those of the last size."""
    parts = [INTRODUCTION.strip(), facts(), _disturbance(sizes, upgrades)]
    parts += [REQUESTS.strip(), *(_request_table(each) for each in sizes)]
    parts += [OPENINGS.strip(), _opening_table(sizes)]
    parts += [COMMANDS.strip(), _command_table(sizes)]
    if upgrades:
        parts += [UPGRADES.strip(), _upgrade_table(upgrades), _accidents(upgrades)]
    return "\n\n".join(parts) + "\n"


def _request_table(size: AtSize) -> str:
    """Return one row a situation and variant; the first variant is what others compare to."""
    rows = []
    for situation, by_variant in size.costs.items():
        stock_s = median(next(iter(by_variant.values())).seconds)
        for variant, cost in by_variant.items():
            typical_s = median(cost.seconds)
            rows.append(
                [
                    f"{situation}: {variant}",
                    str(len(cost.seconds)),
                    number(median(cost.messages), 0),
                    number(typical_s * 1_000_000, 0),
                    number(typical_s / stock_s, 2),
                ]
            )
    return table([f"{size.tenants} tenants", "n", "messages", "median µs", "x stock"], rows)


def _opening_table(sizes: Sequence[AtSize]) -> str:
    first = sizes[0]
    ratio = f"x {first.tenants} tenants"
    header = ["There are already", "n", "median ms", ratio, "fastest ms", ratio]
    rows = [
        [
            f"{size.tenants} tenants",
            str(len(size.openings)),
            number(median(size.openings) * 1000, 0),
            number(median(size.openings) / median(first.openings), 2),
            number(min(size.openings) * 1000, 0),
            number(min(size.openings) / min(first.openings), 2),
        ]
        for size in sizes
    ]
    return table(header, rows)


def _command_table(sizes: Sequence[AtSize]) -> str:
    rows = [
        [
            f"{size.tenants} tenants",
            str(len(size.migrations)),
            number(median(size.migrations), 1),
            number(median(size.checks), 1),
        ]
        for size in sizes
    ]
    return table(["", "n", "migrate_platform, median s", "isolation check, median s"], rows)


def _upgrade_table(found: Upgrades) -> str:
    rows = [["stock django-tenants, a sample", "-", number(found.stock_s * 1000), "1.00"]]
    for processes, seconds in found.seconds.items():
        each_s = seconds / found.tenants
        name = f"migrate_platform --processes {processes}"
        ratio = number(each_s / found.stock_s, 3)
        rows.append([name, number(seconds, 1), number(each_s * 1000), ratio])
    return table([f"{found.tenants} tenants", "s", "ms a tenant", "x stock"], rows)


def _accidents(found: Upgrades) -> str:
    return (
        f"- **Killed in the middle** (`kill -9` of all its processes, {found.kill_upgraded} of "
        f"{found.tenants} told as upgraded): {found.kill_torn} schemas were left half done. The "
        f"next run upgraded the {found.kill_left} that were left, in "
        f"{number(found.kill_seconds, 1)} s; then every schema was complete.\n"
        f"- **One broken tenant** (its table is missing): the other {found.broken_done} were "
        f"upgraded, the broken one was named, and the command ended with {found.broken_code}. "
        "With the table back, the next run completed it."
    )


def _disturbance(sizes: Sequence[AtSize], upgrades: Upgrades | None) -> str:
    shares = {f"with {size.tenants} tenants": size.foreign_share for size in sizes}
    if upgrades:
        shares["while all were upgraded"] = upgrades.foreign_share
    told = ", ".join(f"{number(share * 100, 0)} % {when}" for when, share in shares.items())
    return f"Other programs used of the machine meanwhile: {told}."
