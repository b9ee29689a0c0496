"""Writes the pages of docs/reference that are made from the code, or checks that they are current.

The database is not asked, so the settings of the type checker do:
``DJANGO_SETTINGS_MODULE=tests.mypy_settings python manage.py write_reference``
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import typer.main
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from pydantic.fields import FieldInfo

from cli.exit_codes import MEANINGS
from cli.main import app as cli_app
from execfabric.core.actions import ACTIONS, PROVEN
from execfabric.core.permissions import PERMISSIONS, TARGET_RULES, Permission
from execfabric.core.roles import TENANT_ROLES, Role
from execfabric.settings.environment import PREFIX, SECRETS, Environment

FOLDER = Path(settings.BASE_DIR) / "docs" / "reference"
PACKAGES = ("execfabric.core", "execfabric.web", "tenants", "skills", "governance")
MADE_BY = "<!-- Made by `manage.py write_reference`; do not edit by hand. -->"
ROLE_TITLES = {
    **{role: title.lower() for role, title in TENANT_ROLES.items()},
    Role.PLATFORM_ADMIN: "super-admin",
    Role.SYSTEM: "system",
}


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Write the reference pages that are made from the code; --check only compares them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail if stale")

    def handle(self, *args: Any, **options: Any) -> None:
        stale = [name for name, text in pages().items() if _written(name) != text]
        if options["check"] and stale:
            raise CommandError(f"Out of date: {', '.join(stale)}. Run: manage.py write_reference")
        for name in stale:
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / name).write_text(pages()[name], encoding="utf-8")
            self.stdout.write(f"Wrote docs/reference/{name}.")
        if not stale:
            self.stdout.write("The reference is current.")


def pages() -> dict[str, str]:
    """Return file name -> Markdown of every generated page."""
    return {
        "cli.md": cli_page(),
        "permissions.md": permissions_page(),
        "settings.md": settings_page(),
    }


def settings_page() -> str:
    """Return the page of every ``EXECFABRIC_*`` setting."""
    rows = [
        (f"`{_variable(name)}`", _default_of(field), _sentence(field.description or ""))
        for name, field in sorted(Environment.model_fields.items())
    ]
    secrets = ", ".join(f"`{_variable(name)}_FILE`" for name in sorted(SECRETS))
    return _page(
        "Settings",
        "Every setting is an environment variable. They are read once, when a process starts; a "
        "value that cannot be used stops it with a sentence that says why.",
        _table(("Variable", "Default", "What it does"), rows),
        "## Secrets in files",
        f"Instead of the value, the path of a file that holds it: {secrets}. The variable itself "
        "wins where both are set.",
        "The command line program has variables of its own, see [the CLI](cli.md).",
    )


def permissions_page() -> str:
    """Return the page of every permission, which are also the codes of the audit trail."""
    load_actions()
    codes = sorted(PERMISSIONS.values(), key=lambda permission: permission.code)
    acts = [each for each in codes if each.code in ACTIONS]
    reads = [each for each in codes if each.code not in ACTIONS]
    return _page(
        "Permissions and audit codes",
        "One code names a permission, the act it permits and the audit event of that act. A role "
        "holds the codes that list it. Owner, administrator, developer, operator, approver and "
        "viewer are roles of a tenant; super-admin exists on the admin host only; system is the "
        "platform itself (workers, scans, commands of the operator).",
        "## Acts",
        "Each call writes exactly one audit event under its code: `done`, `refused` or `failed`. "
        "For some a person must have logged in, or given the password again, within the last "
        "minutes ([how-to 13](../how-to/13-keep-accounts-safe.md)); the system need not.",
        _table(
            ("Code", "Act", "Roles", "Further condition"),
            [(*_row(each, nobody="anybody"), _condition_of(each.code)) for each in acts],
        ),
        "## Reads",
        "These decide what is shown; looking at something writes no event.",
        _table(("Code", "What", "Roles"), [_row(each, nobody="nobody") for each in reads]),
    )


def cli_page() -> str:
    """Return the page of every command, option and exit code of execfabric-cli."""
    program: Any = typer.main.get_command(cli_app)
    parts = [
        "`execfabric-cli` speaks HTTP to one server at a time. `pip install execfabric` is all it "
        "needs; in a clone it is `.venv/bin/execfabric-cli`. Names below `localhost` always lead "
        "to this machine, whatever the system resolves.",
        "## Options of every command",
        _table(("Option", "What it does"), _options(program)),
        "\n\n".join(inspect.cleandoc(program.help).split("\n\n")[1:]),
        "## Commands",
    ]
    for name, command in _commands(program):
        usage = " ".join((name, *_arguments(command)))
        parts += [f"### {name}", f"`execfabric-cli {usage}`", _joined(command.help)]
        options = [row for row in _options(command) if not row[0].startswith("`--help")]
        if options:
            parts.append(_table(("Option", "What it does"), options))
    codes = [(str(code.value), _sentence(meaning)) for code, meaning in MEANINGS.items()]
    parts += ["## Exit codes", _table(("Code", "Meaning"), codes)]
    return _page("Command line program", *parts)


def _commands(program: Any) -> Iterator[tuple[str, Any]]:
    """Return every command by its words; those of a group after one another."""
    for name, command in program.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {words}", one) for words, one in _commands(command))
        else:
            yield name, command


def load_actions() -> None:
    """Import every module of ours, so that each action and permission is declared."""
    for package in PACKAGES:
        module = import_module(package)
        for found in pkgutil.walk_packages(module.__path__, f"{package}."):
            if not {"migrations", "management"} & set(found.name.split(".")):
                import_module(found.name)


def _row(permission: Permission, *, nobody: str) -> tuple[str, str, str]:
    titles = [title for role, title in ROLE_TITLES.items() if role in permission.roles]
    return f"`{permission.code}`", permission.title, ", ".join(titles) or nobody


def _condition_of(code: str) -> str:
    rule: Callable[..., Any] | None = TARGET_RULES.get(code)
    conditions = ["depends on the object"] if rule else []
    if code in PROVEN:
        conditions.append("a fresh proof of who it is")
    return ", ".join(conditions)


def _arguments(command: Any) -> list[str]:
    """Return the arguments of a command, those that may be left out in brackets."""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    names = [(each.metavar or each.name.upper()).strip("[]") for each in arguments]
    needed = [each.required for each in arguments]
    return [name if need else f"[{name}]" for name, need in zip(names, needed, strict=True)]


def _options(command: Any) -> list[tuple[str, str]]:
    rows = []
    for option in command.params:
        if option.param_type_name != "option" or option.hidden:
            continue
        value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
        names = ", ".join(f"`{name}{value}`" for name in option.opts)
        told = [_joined(option.help)]
        if option.default not in (None, False, "", []) and not option.is_flag:
            told.append(f"Default: `{option.default}`.")
        rows.append((names, " ".join(told)))
    return rows


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _default_of(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "depends"
    value = field.default
    if value in ("", frozenset()):
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _sentence(text: str) -> str:
    text = _joined(text)
    is_address = "://" in text.partition(" ")[0]
    first = text[:1] if is_address else text[:1].upper()
    return first + text[1:] + ("" if text.endswith(".") else ".")


def _joined(text: str | None) -> str:
    return " ".join((text or "").split())


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """Escape what would end the cell, or vanish as a tag outside of code."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", MADE_BY, *parts)) + "\n"


def _written(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else ""
