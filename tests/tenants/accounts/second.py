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
    """Turn the second factor of person on; return the recovery codes."""
    services.begin_second_factor(actor=person.actor, account=person.account)
    factor = SecondFactor.objects.get(account=person.account)
    made = services.confirm_second_factor(
        actor=person.actor,
        account=person.account,
        secret_code=code_at(services.secret_of(factor), _present_step()),
        session_token="",
    )
    person.account.refresh_from_db()
    return tuple(made)


def code_of(account: Account) -> str:
    """Return what the app shows next.

    It is taken already, since a clock may be wrong by half a minute, and so it is in the next half
    minute: a test may begin at the end of one. The present code may be the one that was used.
    """
    factor = SecondFactor.objects.get(account=account)
    return code_at(services.secret_of(factor), _present_step() + 1)


def used_code_of(account: Account) -> str:
    """Return the code that was taken last."""
    factor = SecondFactor.objects.get(account=account)
    return code_at(services.secret_of(factor), factor.last_step)


def _present_step() -> int:
    return int(time.time()) // STEP_S
