from __future__ import annotations

import functools
from typing import Any

import pgtrigger
from django.db import models
from django.db.models import Q

from execfabric.core.actor import Actor
from execfabric.core.audit import SECRET_WORDS
from execfabric.core.fields import OrderedJSONField
from execfabric.core.roles import TENANT_ROLES
from executors.script.environment.lock import Lock, Package
from tenants.accounts.models import Account, Group


class Risk(models.TextChoices):
    LOW = "low", "Low risk"
    MEDIUM = "medium", "Medium risk"
    HIGH = "high", "High risk"


class Approval(models.TextChoices):
    NONE = "none", "No approval"
    FOUR_EYES = "four_eyes", "Approval by somebody else"


class Visibility(models.TextChoices):
    """Who gets rights on a skill when it is new; from then on its grants are the tenant's."""

    TENANT = "tenant", "Everybody, by role"
    GRANTED = "granted", "Nobody, until it is granted"


class Maintainer(models.TextChoices):
    TENANT = "tenant", "This workspace"
    PLATFORM = "platform", "The platform"


class Right(models.TextChoices):
    SEE = "see", "See"
    RUN = "run", "Run"
    APPROVE = "approve", "Approve"


IS_SLUG = Q(name__regex=r"^[a-z0-9]+(-[a-z0-9]+)*$")
"""Names stand in addresses."""


class Script(models.Model):
    """An execution asset: one folder of code under one name. The code is in its versions."""

    name = models.SlugField(max_length=60, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.CheckConstraint(name="script_name_is_slug", condition=IS_SLUG)]

    def __str__(self) -> str:
        return self.name


class ScriptEnvironment(models.Model):
    """The Python and the locked packages of scripts, as they were reviewed."""

    digest = models.CharField(max_length=64, primary_key=True)
    """sha256 over python_tag and lock, hexadecimal (executors.script.environment.lock)."""
    python = models.CharField(max_length=20)
    """Version it was locked with, such as 3.12.1."""
    python_tag = models.CharField(max_length=80)
    """Kind, version and platform, such as cpython-312-x86_64-linux-gnu."""
    lock = models.TextField(blank=True)
    """A line for each package, with its hashes; empty where only the Python was chosen."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"Python {self.python}, {len(self.packages)} packages"

    @property
    def packages(self) -> list[Package]:
        return Lock(self.python, self.python_tag, self.lock).packages


class ScriptVersion(models.Model):
    """One immutable bundle of a script, identified by the digest of its files."""

    script = models.ForeignKey(Script, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    """sha256 over paths, modes and contents, hexadecimal (executors.script.bundle)."""
    stored_as = models.CharField(max_length=200)
    size_bytes = models.PositiveBigIntegerField()
    runtime = models.CharField(max_length=10)
    entry = models.CharField(max_length=100)
    environment = models.ForeignKey(
        ScriptEnvironment, on_delete=models.PROTECT, null=True, related_name="script_versions"
    )
    """None where the platform's own Python, without packages, is all it asks for."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["script", "number"], name="script_version_number"),
            # The same files with other packages, or begun elsewhere, are another version.
            models.UniqueConstraint(
                fields=["script", "digest", "runtime", "entry", "environment"],
                name="script_version_digest",
                nulls_distinct=False,
            ),
        ]
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.script} v{self.number}"


class Skill(models.Model):
    """What users see and run. Which version runs is the binding: ``version``."""

    name = models.SlugField(max_length=60, unique=True)
    is_enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    """Why it was disabled; whose run did not start for it reads this."""
    version = models.ForeignKey(
        "SkillVersion", on_delete=models.PROTECT, null=True, related_name="bound_by"
    )
    is_pinned = models.BooleanField(default=False)
    """Whether a new version is only registered and does not come into use by itself."""
    maintainer = models.CharField(max_length=10, choices=Maintainer, default=Maintainer.TENANT)
    """Who may change what it is and does. The platform's own are ``public/`` scripts."""
    created_at = models.DateTimeField(auto_now_add=True)

    rights: tuple[Actor | None, frozenset[str]] = (None, frozenset())
    """Whose rights by grants are known from the statement that read this, and which they are."""
    withdrawn: str | None = None
    """Why the platform withdrew the bound version, "" if it did not; None where nobody asked."""
    is_from_memory: bool = False
    """Whether it was read for an earlier request: who acts on it must have HOLDS_STILL checked."""

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(name="skill_name_is_slug", condition=IS_SLUG)]
        triggers = [
            pgtrigger.Protect(
                name="maintainer_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__maintainer__df=pgtrigger.F("new__maintainer")),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_public(self) -> bool:
        return self.maintainer == Maintainer.PLATFORM


class SkillVersion(models.Model):
    """One immutable description of a skill and the asset it runs."""

    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    """Executor kind in the registry (executors.registry)."""
    script_version = models.ForeignKey(
        ScriptVersion, on_delete=models.PROTECT, null=True, related_name="skill_versions"
    )
    resource = OrderedJSONField(default=dict)
    """The resource spec of a kind other than script, in the words of that kind. No secrets."""
    title = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    readme = models.TextField(blank=True)
    """Markdown, as the author wrote it; sanitised where it is shown."""
    input_schema = OrderedJSONField()
    output_schema = OrderedJSONField()
    risk = models.CharField(max_length=10, choices=Risk)
    confirm = models.BooleanField()
    approval = models.CharField(max_length=20, choices=Approval)
    visibility = models.CharField(
        max_length=10, choices=Visibility, default=Visibility.TENANT, db_default=Visibility.TENANT
    )
    ai_callable = models.BooleanField()
    manual = models.BooleanField()
    network = models.BooleanField()
    network_hosts = models.JSONField(default=list)
    """The only hosts it may reach, as the manifest has them; empty for all public ones."""
    timeout_s = models.PositiveIntegerField()
    memory_bytes = models.PositiveBigIntegerField()
    queue = models.SlugField(max_length=40, default="default")
    """Label of the workers that may run it."""
    concurrency = models.PositiveIntegerField(null=True)
    """How many runs of the skill may go on at once; None: any number."""
    max_retries = models.PositiveSmallIntegerField(default=0)
    """How often in a row a lost run is started again by the platform itself; 0 unless the skill
    says that it is idempotent."""
    tags = models.JSONField(default=list)
    examples = models.JSONField(default=list)
    """Sentences a user might say."""
    based_on = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="edits")
    """The version it was edited from in the browser; None for one that came with its script."""
    author = models.CharField(max_length=150, blank=True)
    """Username of who made it, as it was then; empty where nobody wrote it down."""
    note = models.CharField(max_length=200, blank=True)
    """What its author said about it."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["skill", "number"], name="skill_version_number"),
            models.CheckConstraint(
                name="skill_version_script_iff_script",
                condition=Q(kind="script", script_version__isnull=False)
                | ~Q(kind="script") & Q(script_version__isnull=True),
            ),
            # Whatever a manifest says, high risk is never run unconfirmed.
            models.CheckConstraint(
                name="skill_version_high_risk_confirms",
                condition=~Q(risk=Risk.HIGH) | Q(confirm=True),
            ),
        ]
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.skill} v{self.number}"

    @property
    def input_fields(self) -> dict[str, dict[str, Any]]:
        properties: dict[str, dict[str, Any]] = self.input_schema.get("properties", {})
        return properties

    @property
    def file_inputs(self) -> frozenset[str]:
        """Names of the inputs whose value is a file, or a list of files."""
        return frozenset(name for name, field in self.input_fields.items() if is_file(field))

    @functools.cached_property
    def secret_inputs(self) -> frozenset[str]:
        """Names of the inputs that hold a secret, whole or somewhere inside."""
        return frozenset(
            name
            for name, field in self.input_fields.items()
            if holds_secret(field) or _is_named_secret(name, field)
        )


def _is_named_secret(name: str, field: Any) -> bool:
    """Return whether a text is called what secrets are called, as the audit trail sees it."""
    is_text = isinstance(field, dict) and field.get("type") == "string" and not is_file(field)
    return is_text and any(word in name.lower() for word in SECRET_WORDS)


def holds_secret(field: Any) -> bool:
    """Return whether a JSON Schema, or anything in it, stands for a secret."""
    if isinstance(field, dict):
        if field.get("format") == "password" or field.get("writeOnly") is True:
            return True
        return any(holds_secret(part) for part in field.values())
    return isinstance(field, list) and any(holds_secret(part) for part in field)


def is_file(field: dict[str, Any]) -> bool:
    """Return whether a JSON Schema property stands for a file or a list of files."""
    items = field.get("items")
    return field.get("format") == "file" or (
        isinstance(items, dict) and items.get("format") == "file"
    )


class SkillBinding(models.Model):
    """One version coming into use: when, by whom, why, and what was checked. Never changed."""

    skill = models.ForeignKey(Skill, on_delete=models.CASCADE, related_name="bindings")
    version = models.ForeignKey(SkillVersion, on_delete=models.PROTECT, related_name="bindings")
    replaced = models.ForeignKey(
        SkillVersion, on_delete=models.PROTECT, null=True, related_name="replacements"
    )
    bound_by = models.CharField(max_length=150)
    """Username then."""
    reason = models.CharField(max_length=200, blank=True)
    report = models.JSONField(default=list)
    """What was checked before: [{"check", "passed", "text"}] (verification)."""
    bound_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-bound_at", "-pk"]
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.skill}: {self.version_id} in use"


class SkillGrant(models.Model):
    """Who may do what with a skill: a role of the tenant, a group, or one account."""

    skill = models.ForeignKey(Skill, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(
        max_length=20,
        blank=True,
        choices=[(role.value, title) for role, title in TENANT_ROLES.items()],
    )
    group = models.ForeignKey(Group, on_delete=models.CASCADE, null=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True)
    right = models.CharField(max_length=10, choices=Right)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="grant_role_group_or_account",
                condition=(
                    ~Q(role="") & Q(group__isnull=True, account__isnull=True)
                    | Q(role="", group__isnull=False, account__isnull=True)
                    | Q(role="", group__isnull=True, account__isnull=False)
                ),
            ),
            models.UniqueConstraint(
                fields=["skill", "role", "group", "account", "right"],
                name="grant_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.skill}: {self.role or self.group or self.account} may {self.right}"


class Withdrawal(models.Model):
    """A recall by the platform: from now on nobody starts this version, wherever it is bound."""

    version = models.OneToOneField(
        SkillVersion, on_delete=models.PROTECT, primary_key=True, related_name="withdrawal"
    )
    reason = models.TextField()
    """Shown to whoever wants to run it."""
    withdrawn_by = models.CharField(max_length=150)
    """Username in the public domain."""
    withdrawn_at = models.DateTimeField()

    class Meta:
        triggers = [
            pgtrigger.Protect(name="immutable", operation=pgtrigger.Update | pgtrigger.Delete)
        ]
        constraints = [
            models.CheckConstraint(name="withdrawal_has_reason", condition=~Q(reason=""))
        ]

    def __str__(self) -> str:
        return f"{self.version} withdrawn"


class Verification(models.Model):
    """What was found when a version was put into use: who sees and runs it, and who does not."""

    version = models.ForeignKey(
        SkillVersion, on_delete=models.CASCADE, related_name="verifications"
    )
    report = models.JSONField()
    """{"checks": [{"check", "passed", "text"}]} ("ok" in rows of before); names no other tenant."""
    verified_at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.version}, verified"
