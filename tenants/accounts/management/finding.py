"""What commands about an account share: whose it is, and the password that is typed or piped in."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, CommandParser
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.errors import DomainError
from tenants.registry.models import Tenant

from ..models import Account


def add_account_arguments(parser: CommandParser) -> None:
    parser.add_argument("tenant", help="name of the tenant; admin for the admin host")
    parser.add_argument("username")


@contextmanager
def named_account(tenant_name: str, username: str) -> Iterator[Account]:
    """Give the account, in its schema; a refusal inside is what the command says.

    Raises CommandError.
    """
    with schema_context(get_public_schema_name()):
        tenant = Tenant.objects.filter(name=tenant_name).first()
    if tenant is None:
        raise CommandError(f"There is no tenant named {tenant_name}.")
    with schema_context(tenant.schema_name):
        account = Account.objects.filter(username__iexact=username).first()
        if account is None:
            raise CommandError(f"There is no account named {username} there.")
        try:
            yield account
        except DomainError as error:
            raise CommandError(in_full(error)) from None


def in_full(error: DomainError) -> str:
    """Return what a refusal says, with what it says of single inputs below."""
    return error.message + "".join(f"\n  {name}: {text}" for name, text in error.fields.items())


def asked_password(*, twice: bool = False) -> str:
    """Return what is typed, or else the first line of the standard input. Raises CommandError.

    twice: whether it must be typed twice, where nobody can see what was typed.
    """
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass("Password: ")
        if twice and password != getpass.getpass("Password, again: "):
            raise CommandError("These were two different passwords. Nothing was changed.")
    if not password:
        raise CommandError("Give a password.")
    return password
