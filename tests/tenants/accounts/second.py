"""A second factor for people of the tests."""

from __future__ import annotations

import time
import uuid

from execfabric.core.actor import Actor, Door
from execfabric.core.roles import Role
from tenants.accounts.models import Account, SecondFactor
from tenants.accounts.second_factor import services
from tenants.accounts.second_factor.codes import STEP_S, code_at
from tenants.accounts.services import create_account
from tests.conftest import PASSWORD


def newcomer(person, role: Role):
    """Return somebody whose wrong attempts no other test has counted."""
    account = create_account(
        actor=Actor.system("tests", door=Door.COMMAND),
        username=f"newcomer-{uuid.uuid4().hex}",
        roles=frozenset({role}),
        password=PASSWORD,
    )
    return person(account.username)


def turn_on(person) -> tuple[str, ...]:
    """Turn the second factor of person on; return the recovery codes.

    The first code is of a step that is over, so that the present one can still be used.
    """
    services.begin_second_factor(actor=person.actor, account=person.account)
    made = services.confirm_second_factor(
        actor=person.actor,
        account=person.account,
        secret_code=code_of(person.account, steps=-1),
        session_token="",
    )
    person.account.refresh_from_db()
    return tuple(made)


def code_of(account: Account, *, steps: int = 0) -> str:
    """Return what the app shows now, or did so many steps of 30 seconds ago (negative)."""
    factor = SecondFactor.objects.get(account=account)
    return code_at(services.secret_of(factor), int(time.time()) // STEP_S + steps)
