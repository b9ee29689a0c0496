from __future__ import annotations

from django.conf import settings
from django.contrib.auth import password_validation
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes, force_str
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django_tenants.utils import get_public_schema_name

from execfabric.core.actions import action
from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import Conflict, DomainError, InvalidInput, NotPermitted
from execfabric.core.roles import MANAGERS, PLATFORM, SYSTEM, TENANT_ROLES, Role
from tenants.registry.services import OwnerRequest

from .actors import roles_of as roles_of
from .models import Account, ApiToken, RoleAssignment
from .second_factor.services import Factor
from .sessions.services import end_sessions, end_tokens, require_own


class CredentialsRefused(DomainError):
    """Wrong username or password; which of the two is not said."""

    code = "credentials_refused"
    status = 401


class TooManyAttempts(CredentialsRefused):
    """Refused whatever the password, until the lock-out of username and address has passed."""

    code = "too_many_attempts"
    status = 429


class CodeRefused(CredentialsRefused):
    """The password was right, the code was not, or was used already."""


class CodeNeeded(CredentialsRefused):
    """The password is right; the same is to be sent again with a code of the second factor."""

    code = "second_factor_needed"


class LinkNotUsable(DomainError):
    """The set-password link was used, has expired, or was never valid here."""

    code = "link_not_usable"
    status = 400


class SetPasswordTokens(PasswordResetTokenGenerator):
    """Single use (bound to the present password) and valid in one schema only."""

    @property
    def key_salt(self) -> str:  # type: ignore[override]  # a plain attribute in the base class
        return f"tenants.accounts.set_password:{current_schema()}"


set_password_tokens = SetPasswordTokens()


@action(
    "accounts.account.create",
    title="Create an account",
    roles=MANAGERS | PLATFORM | SYSTEM,
    needs_proof=True,
)
def create_account(
    *,
    actor: Actor,
    username: str,
    roles: frozenset[Role],
    display_name: str = "",
    email: str = "",
    password: str = "",
    is_platform_admin: bool = False,
) -> Account:
    """Create an account in the current schema; without a password it cannot log in yet.

    Only an owner makes owners, and only the platform super-admins. Raises InvalidInput (username,
    password or roles), Conflict (username taken) and NotPermitted.
    """
    _check_roles(actor, roles, is_platform_admin=is_platform_admin)
    account = add_account(
        username,
        display_name=display_name,
        email=email,
        password=password,
        is_platform_admin=is_platform_admin,
    )
    RoleAssignment.objects.bulk_create(
        RoleAssignment(account=account, role=role) for role in sorted(roles)
    )
    return account


def add_account(
    username: str,
    *,
    display_name: str = "",
    email: str = "",
    password: str = "",
    is_platform_admin: bool = False,
) -> Account:
    """Store a new account, as part of an action. Raises InvalidInput, Conflict."""
    account = Account(
        username=username.strip(),
        display_name=display_name.strip(),
        email=email.strip(),
        is_platform_admin=is_platform_admin,
    )
    _check(account, password)
    if password:
        account.set_password(password)
    else:
        account.set_unusable_password()
    try:
        with transaction.atomic():
            account.save()
    except IntegrityError:
        raise Conflict(f"There is an account named {account.username} already.") from None
    return account


def make_first_owner(actor: Actor, owner: OwnerRequest) -> str:
    """Create a new tenant's owner; return the set-password path, or '' if a password was given."""
    account = create_account(
        actor=actor,
        username=owner.username,
        roles=frozenset({Role.OWNER}),
        display_name=owner.display_name,
        email=owner.email,
        password=owner.password,
    )
    return "" if owner.password else set_password_path(account)


def set_password_path(account: Account) -> str:
    """Return the path, on the host of the schema, on which account's password can be set once."""
    is_public = current_schema() == get_public_schema_name()
    return reverse(
        "accounts:set-password",
        urlconf=settings.PUBLIC_SCHEMA_URLCONF if is_public else settings.ROOT_URLCONF,
        args=[
            urlsafe_base64_encode(force_bytes(account.pk)),
            set_password_tokens.make_token(account),
        ],
    )


def account_for_link(key: str, token: str) -> Account:
    """Return the account a set-password link is for. Raises LinkNotUsable."""
    return _account_for_link(Account.objects.all(), key, token)


def _account_for_link(accounts: QuerySet[Account], key: str, token: str) -> Account:
    try:
        account = accounts.filter(
            pk=int(force_str(urlsafe_base64_decode(key))), is_active=True
        ).first()
    except (ValueError, OverflowError):
        account = None
    if account is None or not set_password_tokens.check_token(account, token):
        raise LinkNotUsable("This link was used already or has expired. Ask for a new one.")
    return account


@action(
    "accounts.password.set", title="Set a password by link", roles=frozenset(), open_to_all=True
)
def set_password_by_link(*, actor: Actor, key: str, token: str, password: str) -> Account:
    """Set the password of the account the link is for, and log it out everywhere.

    Raises LinkNotUsable, InvalidInput.
    """
    # Locked: of two uses at once the second sees the new password, which voids the link.
    account = _account_for_link(Account.objects.select_for_update(), key, token)
    return _set_password(account, password)


@action(
    "accounts.password.change",
    title="Change one's own password",
    roles=frozenset(),
    target="account",
    open_to_all=True,
    needs_proof=True,
)
def change_password(
    *, actor: Actor, account: Account, password: str, session_token: str
) -> Account:
    """Set another password; end all tokens, and all sessions but the one with that key.

    Raises InvalidInput.
    """
    require_own(actor, account)
    account = Account.objects.select_for_update().get(pk=account.pk)
    return _set_password(account, password, session_token=session_token)


@action(
    "accounts.password.replace",
    title="Set another password for somebody",
    roles=SYSTEM,
    target="account",
)
def replace_password(*, actor: Actor, account: Account, password: str) -> Account:
    """Set the password of account and log it out everywhere; for the operator, who asks nobody.

    Raises InvalidInput.
    """
    account = Account.objects.select_for_update().get(pk=account.pk)
    return _set_password(account, password)


@action(
    "accounts.session.begin",
    title="Log in, the password",
    roles=frozenset(),
    target="account",
    open_to_all=True,
)
def await_code(*, actor: Actor, account: Account) -> None:
    """Record that the right password was given where a code must follow."""


@action("accounts.session.open", title="Log in", roles=frozenset(), open_to_all=True)
def open_session(
    *,
    actor: Actor,
    username: str,
    account: Account | None,
    locked_out: bool,
    factor: Factor = Factor.NONE,
    wants_code: bool = False,
) -> Account:
    """Record a login by page. account is what the credentials proved, or None.

    factor: what proved it beside the password. wants_code: it was the code that was asked for.
    Raises CredentialsRefused.
    """
    return _proven(account, locked_out, wants_code)


@action("accounts.token.issue", title="Log in by API", roles=frozenset(), open_to_all=True)
def issue_token(
    *,
    actor: Actor,
    username: str,
    account: Account | None,
    locked_out: bool,
    factor: Factor = Factor.NONE,
    wants_code: bool = False,
    agent: str = "",
) -> ApiToken:
    """Issue a bearer token; its text is in ``.plain`` of the result, and nowhere else.

    Raises CredentialsRefused.
    """
    token, plain = ApiToken.objects.create(user=_proven(account, locked_out, wants_code))
    token.address, token.agent, token.plain = actor.address, agent, plain
    token.save(update_fields=["address", "agent"])
    return token


@action(
    "accounts.session.prove",
    title="Prove again who one is",
    roles=frozenset(),
    target="account",
    open_to_all=True,
)
def prove_again(
    *,
    actor: Actor,
    account: Account,
    proven: Account | None,
    locked_out: bool,
    factor: Factor = Factor.NONE,
    wants_code: bool = False,
    token: ApiToken | None = None,
) -> Account:
    """Record that account proved, or failed to prove, who it is; token: the one it came with.

    Raises CredentialsRefused.
    """
    if _proven(proven, locked_out, wants_code).pk != account.pk:
        raise NotPermitted("This is for one's own account only.")
    if token is not None:
        ApiToken.objects.filter(pk=token.pk).update(proven_at=timezone.now())
    return account


# Whoever is logged in may log out, whatever became of the roles meanwhile.
@action(
    "accounts.token.revoke",
    title="Log out of the API",
    roles=frozenset(),
    target="account",
    open_to_all=True,
)
def revoke_token(*, actor: Actor, account: Account, token: ApiToken) -> None:
    """Make account's token useless at once."""
    token.delete()


@action(
    "accounts.session.close", title="Log out", roles=frozenset(), target="account", open_to_all=True
)
def close_session(*, actor: Actor, account: Account) -> None:
    """Record a logout; the view ends the session itself."""


def _proven(account: Account | None, locked_out: bool, wants_code: bool) -> Account:
    if locked_out:
        raise TooManyAttempts("Too many failed attempts. Try again in 15 minutes.")
    if account is None and wants_code:
        raise CodeRefused("This code is wrong, or was used already. Wait for the next one.")
    if account is None or not _is_as_proven(account):
        raise CredentialsRefused("The username or the password is wrong.")
    return account


def _set_password(account: Account, password: str, *, session_token: str = "") -> Account:
    _check_password(account, password)
    account.set_password(password)
    account.save(update_fields=["password"])
    end_sessions(account, session_token=session_token)
    end_tokens(account)
    return account


def _is_as_proven(account: Account) -> bool:
    """Lock account; return whether what it was proven by still counts.

    Whatever changes that ends the sessions and tokens there are, and cannot see one being opened.
    """
    return (
        Account.objects.select_for_update()
        .filter(
            pk=account.pk,
            password=account.password,
            second_factor_at=account.second_factor_at,
            is_active=True,
        )
        .exists()
    )


def _check_roles(actor: Actor, roles: frozenset[Role], *, is_platform_admin: bool) -> None:
    platform = actor.roles & (PLATFORM | SYSTEM)
    if not roles <= TENANT_ROLES.keys():
        raise InvalidInput("No account can hold this role.", fields={"roles": "is not a role here"})
    if Role.OWNER in roles and not (platform or Role.OWNER in actor.roles):
        raise NotPermitted("Only an owner can make another owner.")
    if is_platform_admin and not platform:
        raise NotPermitted("Only the platform can make super-admins.")


def _check(account: Account, password: str) -> None:
    try:
        account.clean_fields(exclude=["password"])
    except ValidationError as error:
        fields = {name: " ".join(texts) for name, texts in error.message_dict.items()}
        raise InvalidInput("The account cannot be created like this.", fields=fields) from None
    if password:
        _check_password(account, password)


def _check_password(account: Account, password: str) -> None:
    try:
        password_validation.validate_password(password, account)
    except ValidationError as error:
        raise InvalidInput(
            "Choose another password.", fields={"password": " ".join(error.messages)}
        ) from None
