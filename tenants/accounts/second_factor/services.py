"""Setting up, taking away and using the second factor of an account."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from execfabric.core import vault
from execfabric.core.actions import action
from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.roles import MANAGERS, PLATFORM, SYSTEM, Role

from ..actors import is_super_admin, roles_of
from ..models import Account, RecoveryCode, SecondFactor
from ..sessions.services import end_sessions, end_tokens, require_own
from . import codes

PURPOSE = "second factors"
PENDING = timedelta(minutes=15)
"""How long a secret waits for its first code."""


class Factor(StrEnum):
    """By what a login was proved, beside the password."""

    NONE = ""
    APP = "app"
    RECOVERY_CODE = "recovery_code"


@action(
    "accounts.second_factor.begin",
    title="Begin to set up a second factor",
    roles=frozenset(),
    target="account",
    open_to_all=True,
    needs_proof=True,
)
def begin_second_factor(*, actor: Actor, account: Account) -> Account:
    """Make a new secret for an authenticator app; it counts from its first code on.

    Raises Conflict (there is one), NoKey.
    """
    require_own(actor, account)
    account = _locked(account)
    if account.second_factor_at:
        raise Conflict("There is a second factor already. Take it away first.")
    old = SecondFactor.objects.filter(account=account).first()
    number = old.number + 1 if old else 1
    sealed = vault.seal(
        {"secret": codes.new_secret()}, purpose=PURPOSE, place=_place(account.pk, number)
    )
    SecondFactor.objects.update_or_create(
        account=account,
        defaults={
            "number": number,
            "key_id": sealed.key_id,
            "sealed": sealed.text,
            "last_step": 0,
            "created_at": timezone.now(),
            "confirmed_at": None,
        },
    )
    return account


@action(
    "accounts.second_factor.confirm",
    title="Set up a second factor",
    roles=frozenset(),
    target="account",
    open_to_all=True,
    needs_proof=True,
)
def confirm_second_factor(
    *, actor: Actor, account: Account, secret_code: str, session_token: str
) -> RecoveryCodes:
    """Turn the second factor on; return its recovery codes, which nobody is shown again.

    Ends all other sessions and tokens, which the password alone had opened. secret_code: what the
    app shows. session_token: the key of the session that goes on. Raises InvalidInput, Conflict.
    """
    require_own(actor, account)
    account = _locked(account)
    factor = pending_factor(account)
    if factor is None:
        raise Conflict("This took too long, or was done already. Begin again.")
    step = codes.step_of(secret_code, secret_of(factor), now=time.time())
    if step is None:
        wrong = "This is not the code that the app shows now. Is the clock of the device right?"
        raise InvalidInput(wrong, fields={"code": wrong})
    now = timezone.now()
    factor.last_step, factor.confirmed_at = step, now
    factor.save(update_fields=["last_step", "confirmed_at"])
    account.second_factor_at = now
    account.save(update_fields=["second_factor_at"])
    end_sessions(account, session_token=session_token)
    end_tokens(account)
    return _store_recovery_codes(account)


@action(
    "accounts.second_factor.remove",
    title="Take away one's own second factor",
    roles=frozenset(),
    target="account",
    open_to_all=True,
    needs_proof=True,
)
def remove_second_factor(*, actor: Actor, account: Account, session_token: str) -> Account:
    """Let the password be enough again, and end all sessions but the one with that key.

    Raises Conflict, NotPermitted (it is required here).
    """
    require_own(actor, account)
    account = _locked(account)
    if not account.second_factor_at:
        raise Conflict("There is no second factor.")
    if is_required_of(account):
        raise NotPermitted("Super-admins must have a second factor here.")
    _forget(account)
    end_sessions(account, session_token=session_token)
    return account


@action(
    "accounts.recovery_codes.renew",
    title="Make new recovery codes",
    roles=frozenset(),
    target="account",
    open_to_all=True,
    needs_proof=True,
)
def renew_recovery_codes(*, actor: Actor, account: Account) -> RecoveryCodes:
    """Replace all recovery codes; the earlier ones are void. Raises Conflict."""
    require_own(actor, account)
    account = _locked(account)
    if not account.second_factor_at:
        raise Conflict("There is no second factor.")
    return _store_recovery_codes(account)


@action(
    "accounts.second_factor.reset",
    title="Take away somebody's second factor",
    roles=MANAGERS | PLATFORM | SYSTEM,
    target="account",
    needs_proof=True,
)
def reset_second_factor(*, actor: Actor, account: Account, reason: str = "") -> Account:
    """Take it away from somebody who lost it, and end all that account's sessions and tokens.

    Raises Conflict (there is none), NotPermitted (the own one; an owner's by an administrator).
    """
    account = _locked(account)
    if actor.user_id == account.pk:
        raise NotPermitted("Nobody resets the own second factor. Ask somebody else to do it.")
    if Role.OWNER in roles_of(account) and not actor.roles & ({Role.OWNER} | SYSTEM):
        raise NotPermitted("Only an owner resets the second factor of an owner.")
    if not account.second_factor_at:
        raise Conflict("There is no second factor to reset.")
    _forget(account)
    end_sessions(account)
    end_tokens(account)
    return account


@action(
    "accounts.second_factor.rotate_keys",
    title="Encrypt second factors with the newest key",
    roles=SYSTEM,
)
def rotate_second_factor_keys(*, actor: Actor) -> int:
    """Encrypt again what is not encrypted with the newest key, in the current schema; return how
    many there were. Raises NoKey, NotReadable."""
    newest = vault.newest_key_id()
    if not newest:
        raise vault.NoKey("There is no key. Set EXECFABRIC_CREDENTIAL_KEYS.")
    count = 0
    for factor in SecondFactor.objects.select_for_update().exclude(key_id__in=["", newest]):
        place = _place(factor.pk, factor.number)
        sealed = vault.seal({"secret": secret_of(factor)}, purpose=PURPOSE, place=place)
        factor.key_id, factor.sealed = sealed.key_id, sealed.text
        factor.save(update_fields=["key_id", "sealed"])
        count += 1
    return count


def use_code(account: Account, code: str) -> Factor:
    """Take a code of the app or a recovery code, so that it is never taken again.

    Factor.NONE: it is wrong, or was used. Runs outside of any action: what was used stays so.
    """
    factor = SecondFactor.objects.filter(account=account, confirmed_at__isnull=False).first()
    if factor is None:
        return Factor.NONE
    step = codes.step_of(code, secret_of(factor), now=time.time())
    if step is not None:
        fresh = SecondFactor.objects.filter(
            pk=factor.pk, number=factor.number, last_step__lt=step
        ).update(last_step=step)
        return Factor.APP if fresh else Factor.NONE
    digest = codes.recovery_digest(code, schema=current_schema(), account_id=account.pk)
    unused = RecoveryCode.objects.filter(account=account, digest=digest, used_at__isnull=True)
    return Factor.RECOVERY_CODE if unused.update(used_at=timezone.now()) else Factor.NONE


def pending_factor(account: Account) -> SecondFactor | None:
    """Return the second factor that waits for its first code."""
    return SecondFactor.objects.filter(
        account=account, confirmed_at__isnull=True, created_at__gt=timezone.now() - PENDING
    ).first()


def secret_of(factor: SecondFactor) -> str:
    """Decrypt. Raises NoKey, NotReadable."""
    sealed = vault.Sealed(factor.key_id, factor.sealed)
    place = _place(factor.account_id, factor.number)
    return vault.unseal(sealed, purpose=PURPOSE, place=place)["secret"]


def is_required_of(account: Account) -> bool:
    """Return whether account must have a second factor."""
    return bool(settings.ADMIN_SECOND_FACTOR) and is_super_admin(account)


class RecoveryCodes(tuple[str, ...]):
    """Fresh codes. Says nothing of them when it is shown."""

    def __repr__(self) -> str:
        return "RecoveryCodes(***)"

    __str__ = __repr__


def _store_recovery_codes(account: Account) -> RecoveryCodes:
    made = RecoveryCodes(codes.new_recovery_codes())
    RecoveryCode.objects.filter(account=account).delete()
    RecoveryCode.objects.bulk_create(
        RecoveryCode(account=account, digest=digest) for digest in _digests(account, made)
    )
    return made


def _digests(account: Account, made: Iterable[str]) -> Iterable[str]:
    schema = current_schema()
    return (codes.recovery_digest(one, schema=schema, account_id=account.pk) for one in made)


def _forget(account: Account) -> None:
    # Its number stays, so that no secret is ever sealed for the same place twice.
    SecondFactor.objects.filter(account=account).update(
        confirmed_at=None, sealed="", key_id="", created_at=timezone.now() - PENDING
    )
    RecoveryCode.objects.filter(account=account).delete()
    account.second_factor_at = None
    account.save(update_fields=["second_factor_at"])


def _locked(account: Account) -> Account:
    return Account.objects.select_for_update().get(pk=account.pk)


def _place(account_id: int, number: int) -> str:
    return f"{current_schema()}|second-factor|{account_id}|{number}"
