"""Commands of Django and its libraries that would go around the one write path are closed."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

CLOSED = {
    "changepassword": "change_password",
    "createsuperuser": "create_admin",
    "create_tenant_superuser": "open_tenant",
    "create_tenant": "open_tenant",
    "clone_tenant": "open_tenant",
    "delete_tenant": "ledger of tenants",
    "create_domain": "open_tenant",
    "delete_domain": "open_tenant",
    "rename_schema": "the name of a schema stays",
}


@pytest.mark.parametrize(("name", "instead"), CLOSED.items())
def test_a_closed_command_says_what_to_do_whatever_it_is_given(name, instead, capsys):
    command = load_command_class(get_commands()[name], name)

    with pytest.raises(SystemExit) as ended:
        command.run_from_argv(["manage.py", name, "sam", "--schema", "tenant_1001", "--noinput"])

    assert ended.value.code == 1
    assert instead in capsys.readouterr().err
    with pytest.raises(CommandError, match=instead):
        call_command(name)


@pytest.mark.parametrize("name", sorted({one for one in CLOSED.values() if "_" in one}))
def test_what_it_names_is_there(name):
    assert name in get_commands()
