from __future__ import annotations

import hashlib

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models
from django.db.models.functions import Now, Upper
from django.utils import timezone
from django.utils.crypto import salted_hmac
from knox.models import AbstractAuthToken

from execfabric.core.actor import current_schema
from execfabric.core.roles import TENANT_ROLES


class AccountManager(BaseUserManager["Account"]):
    def get_by_natural_key(self, username: str | None) -> Account:
        return self.get(username__iexact=username)


class Account(AbstractBaseUser):  # type: ignore[django-manager-missing]  # knox is untyped
    """A person in this schema. The same username in another tenant is another person."""

    username = models.CharField(max_length=150, validators=[UnicodeUsernameValidator()])
    display_name = models.CharField(max_length=100, blank=True)
    email = models.EmailField(blank=True)
    is_active = models.BooleanField(default=True)
    is_platform_admin = models.BooleanField(default=False)
    """Explicit super-admin marker; has a meaning in the public schema only."""
    second_factor_at = models.DateTimeField(null=True, blank=True)
    """Since when logging in takes a code as well (SecondFactor); None: the password is enough."""
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AccountManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"

    class Meta:
        # Upper is how the look-up (iexact) folds: two accounts never answer to one name.
        constraints = [models.UniqueConstraint(Upper("username"), name="account_username")]

    def __str__(self) -> str:
        return self.username

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return what a session must hold to be this account's, in this schema and no other."""
        salt = f"tenants.accounts.session:{current_schema()}"
        proved = self.password
        if self.second_factor_at:
            # What the password alone has opened, even in the same moment, is void from then on.
            proved += f"|{self.second_factor_at.timestamp()}"
        return salted_hmac(salt, proved, secret=secret, algorithm="sha256").hexdigest()

    def get_full_name(self) -> str:
        return self.display_name or self.username


class RoleAssignment(models.Model):
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="role_assignments")
    role = models.CharField(
        max_length=20, choices=[(role.value, title) for role, title in TENANT_ROLES.items()]
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "role"], name="role_assigned_once"),
            models.CheckConstraint(
                name="role_of_a_tenant",
                condition=models.Q(role__in=sorted(role.value for role in TENANT_ROLES)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.role}"


class Group(models.Model):
    """Accounts of this schema under one name, to whom something is granted together."""

    name = models.CharField(max_length=60)
    description = models.CharField(max_length=200, blank=True)
    members = models.ManyToManyField(
        Account, through="GroupMember", through_fields=("group", "account"), related_name="groups"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Upper("name"), name="group_name")]

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["account__username"]
        constraints = [
            models.UniqueConstraint(fields=["group", "account"], name="group_member_once")
        ]

    def __str__(self) -> str:
        return f"{self.account_id} in {self.group_id}"


class Session(AbstractBaseSession):
    """Who is logged in by page, or about to be. Written by ``sessions.store``."""

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, null=True, related_name="sessions"
    )
    """None until the login is complete."""
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    """What the browser says it is."""
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    objects = BaseSessionManager()  # type: ignore[misc]  # a class variable there, by the stubs

    class Meta(AbstractBaseSession.Meta):
        abstract = False

    def __str__(self) -> str:
        return f"session of {self.account_id}"

    @property
    def handle(self) -> str:
        """Return what names it to its owner: its key would be enough to take it over."""
        return hashlib.sha256(self.session_key.encode()).hexdigest()[:20]


class SecondFactor(models.Model):
    """The secret an authenticator app shares with the platform (second_factor/)."""

    account = models.OneToOneField(
        Account, on_delete=models.CASCADE, primary_key=True, related_name="second_factor"
    )
    number = models.PositiveIntegerField()
    """How many were set up before it, and one: part of what binds the secret to this row."""
    key_id = models.CharField(max_length=20)
    sealed = models.TextField()
    """Encrypted by ``execfabric.core.vault``."""
    last_step = models.BigIntegerField(default=0)
    """The 30 seconds whose code was used last: no code of them or of earlier ones is taken."""
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    """When the first code was right; until then it counts for nothing."""

    def __str__(self) -> str:
        return f"second factor of {self.account_id}"


class RecoveryCode(models.Model):
    """A code to log in with once, when the authenticator is lost. Only its digest is stored."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "digest"], name="recovery_code_once")
        ]

    def __str__(self) -> str:
        return f"recovery code of {self.account_id}"


class ApiToken(AbstractAuthToken):
    """A bearer token of one account. Only its digest is stored."""

    address = models.CharField(max_length=45, blank=True, default="", db_default="")
    agent = models.CharField(max_length=200, blank=True, default="", db_default="")
    """Where it was issued to, and what the program said it is."""
    last_used_at = models.DateTimeField(default=timezone.now, db_default=Now())
    proven_at = models.DateTimeField(default=timezone.now, db_default=Now())
    """When its owner last proved who they are: at the login, or by ``auth/prove``."""

    assigned: list[str]
    """Roles of its account as stored; set on a token somebody came with."""
    plain: str = ""
    """The token's text; set on a token that was just issued, never read back."""

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"token of {self.user}"

    @property
    def handle(self) -> str:
        """Return what names it to its owner."""
        return self.digest[:20]
