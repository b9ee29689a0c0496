from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import URLPattern
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from execfabric.core.actions import ACTIONS
from execfabric.core.permissions import PERMISSIONS
from execfabric.operations.management.commands import write_reference
from execfabric.settings.environment import SECRETS, Environment
from tests.docs.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"


def test_the_generated_pages_are_current() -> None:
    call_command("write_reference", "--check")


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(write_reference, "FOLDER", tmp_path / "reference")
    return tmp_path / "reference"


def test_a_stale_page_is_named_and_not_touched_by_the_check(empty_folder: Path) -> None:
    call_command("write_reference")
    page = empty_folder / "settings.md"
    page.write_text("old")

    with pytest.raises(CommandError, match=r"settings\.md"):
        call_command("write_reference", "--check")

    assert page.read_text() == "old"


def test_a_missing_page_is_written(empty_folder: Path) -> None:
    call_command("write_reference")

    assert {page.name for page in empty_folder.iterdir()} == set(write_reference.pages())


@pytest.mark.parametrize("name", sorted(Environment.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    variable = f"EXECFABRIC_{name.upper()}"

    assert f"| `{variable}` |" in text
    assert (f"`{variable}_FILE`" in text) == (name in SECRETS)
    assert Environment.model_fields[name].description, "explain it beside the field"


def test_every_permission_and_action_is_documented() -> None:
    write_reference.load_actions()
    text = (REFERENCE / "permissions.md").read_text(encoding="utf-8")

    assert ACTIONS.keys() <= PERMISSIONS.keys()
    assert [code for code in PERMISSIONS if f"| `{code}` |" not in text] == []


def test_every_command_of_the_cli_is_documented() -> None:
    import typer.main

    from cli.main import app

    text = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    program = typer.main.get_command(app)
    for name, command in commands_of(program):
        assert f"### {name}\n" in text
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert all(f"`{option}" in text for option in parameter.opts)


def test_every_address_of_the_api_is_documented_and_no_other() -> None:
    """Each path of each API module, with each method its view answers."""
    from execfabric.web.audit import urls_api as trail
    from governance import urls_api as governance
    from governance.admins import urls_api as admins
    from governance.audit import urls_api as archives
    from governance.http_access import urls_api as http_access
    from governance.http_access.ledger import urls_api as ledger
    from skills.batches import urls_api as batches
    from skills.catalogue import urls_api as catalogue
    from skills.executions import urls_api as executions
    from skills.hot_update.submitting import urls_api as submitting
    from tenants.accounts import urls_api as accounts
    from tenants.accounts.sessions import urls_api as sessions

    text = (REFERENCE / "api.md").read_text(encoding="utf-8")
    documented = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    served = {
        f"{method.upper()} {_shown(pattern)}"
        for module in (
            *(accounts, batches, catalogue, executions, governance, submitting),
            *(http_access, ledger, admins, archives, sessions, trail),
        )
        for pattern in module.urlpatterns
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(pattern.callback.cls, method)
    }
    assert documented == served


@pytest.mark.parametrize("host", ["public", "tenant"])
def test_the_served_description_has_a_name_for_each_thing_and_a_type_for_each_field(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    GENERATOR_STATS.reset()  # It says each only once.

    SchemaGenerator(urlconf=f"execfabric.urls_{host}").get_schema(request=None, public=True)

    said = capsys.readouterr().err.splitlines()
    wrong = ("identical names", "unable to resolve")
    assert [line for line in said if any(words in line for words in wrong)] == []


def _shown(pattern: URLPattern) -> str:
    """Return the path with ``<id>`` and ``<name>`` instead of converters."""
    path = str(pattern.pattern)
    for converter, shown in (
        ("<uuid:execution_id>", "<id>"),
        ("<uuid:archive_id>", "<id>"),
        ("<int:account_id>", "<id>"),
        ("<str:handle>", "<handle>"),
        ("<uuid:artifact_id>", "<id>"),
        ("<uuid:batch_id>", "<id>"),
        ("<uuid:submission_id>", "<id>"),
        ("<uuid:grant_id>", "<id>"),
        ("<uuid:trial_id>", "<id>"),
        ("<uuid:write_id>", "<id>"),
        ("<uuid:customer_id>", "<id>"),
        ("<uuid:deletion_id>", "<id>"),
        ("<uuid:export_id>", "<id>"),
        ("<int:contact_id>", "<id>"),
        ("<slug:name>", "<name>"),
    ):
        path = path.replace(converter, shown)
    return path


def commands_of(program, before: str = ""):
    """Return every command by its words, those of groups among them."""
    for name, command in program.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command
