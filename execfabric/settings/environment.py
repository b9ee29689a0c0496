"""Every setting an operator can make, typed and explained. Read from ``EXECFABRIC_*``.

A secret can also be given as the path of a file that holds it, by ``EXECFABRIC_<NAME>_FILE``.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from execfabric.embedded import choose_data_dir
from executors.http.urls import NotUsable, parse_url
from executors.network.policy import parse_rules
from executors.script.levels import LEVELS

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "EXECFABRIC_"
SECRETS = (
    "secret_key",
    "audit_key",
    "seals_storage_url",
    "seals_webhook_secret",
    "credential_keys",
    "database_url",
    "database_owner_url",
    "redis_url",
    "storage_url",
    "email_url",
    "package_index_url",
)
"""Settings that ``…_FILE`` may stand for."""
SHORTEST_KEY = 32


class Environment(BaseSettings):
    """The environment of one process. Raises ValidationError when a value is not usable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="ignore",
        hide_input_in_errors=True,  # It may be a secret.
    )

    data_dir: Path = Field(
        default_factory=lambda: choose_data_dir(ROOT / "var"),
        description="Folder for everything this instance keeps: database, files, logs, workspace. "
        "Default: var in the clone, or below /var/lib/execfabric where others cannot enter that.",
    )
    base_domain: str = Field(
        default="localhost",
        pattern=r"^[a-z0-9.-]+$",
        description="Tenants answer on <name>.<base domain>, governance on admin.<base domain>.",
    )
    port: int = Field(default=8000, ge=1, le=65535, description="Port the web server listens on.")
    https: bool = Field(
        default=False,
        description="True behind a TLS proxy: secure cookies, https links, HSTS.",
    )
    database_url: str = Field(
        default="",
        description="postgresql://user:password@host:5432/name: how the application logs in. The "
        "role has no rights by itself, and is created by the owner when it is missing. Empty: the "
        "embedded PostgreSQL.",
    )
    database_owner_url: str = Field(
        default="",
        description="The same database as its owner, who may create schemas and roles: for "
        "migrating and for opening tenants. Without it a process can do neither. Embedded use has "
        "one of its own.",
    )
    redis_url: str = Field(
        default="", description="redis://:password@host:6379/0. Empty: the embedded Valkey."
    )
    storage_url: str = Field(
        default="",
        description=(
            "s3://key:secret@bucket?endpoint=https://host&region=name for object storage, or "
            "file:///folder for one that all hosts share. Empty: files below the data folder."
        ),
    )
    secret_key: str = Field(
        default="",
        description="Signs sessions and links; 50 random characters, 32 at least. Made once for "
        "embedded use.",
    )
    audit_key: str = Field(
        default="",
        description="Signs the seals of audit trails; 50 random characters, 32 at least. Only the "
        "clock (beat) needs it: keep it from the database's host and from web. Made once for "
        "embedded use. A new key is met with a new fingerprint by whoever verifies; an older one "
        "that is set again is taken for a forger's, and nothing more is sealed.",
    )
    seal_every_s: int = Field(
        default=20, ge=1, le=3_600, description="Seconds between two looks for events to seal."
    )
    seals_dir: Path | None = Field(
        default=None,
        description="Folder in which the clock keeps a copy of every seal, one file for each "
        "schema, only ever appended to: on another disk or host than the database, best one that "
        "forbids changes. Empty: seals, in the data folder.",
    )
    seals_storage_url: str = Field(
        default="",
        description="Where copies of seals are stored besides: like EXECFABRIC_STORAGE_URL, a "
        "bucket of its own that forbids changes, or file:///folder of another machine's disk.",
    )
    seals_webhook_url: str = Field(
        default="",
        description="https://host/path that copies of seals are posted to, signed with "
        "EXECFABRIC_SEALS_WEBHOOK_SECRET. A host that is not public must stand in "
        "EXECFABRIC_NETWORK_ALLOW.",
    )
    seals_webhook_secret: str = Field(
        default="",
        description="Key of the signature (HMAC-SHA256) of what is posted to the seals' webhook; "
        "32 random characters at least.",
    )
    seals_email: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Addresses that get the last seal of every trail by e-mail, separated by "
        "commas.",
    )
    seals_email_every_h: int = Field(
        default=24, ge=1, le=24 * 31, description="Hours between two such e-mails."
    )
    audit_kept_days: int = Field(
        default=730,
        ge=30,
        le=3_660,
        description="Days that events stay in an audit trail before they move to an archive, for "
        "trails that have no number of their own.",
    )
    credential_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Encrypts the credentials of HTTP APIs and second factors: keys of 32 random "
        "characters or more, separated by commas or lines. The first one encrypts, all of them "
        "decrypt; see manage.py rotate_credential_keys. Made once for embedded use.",
    )
    admin_usernames: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Usernames of the public domain that are super-admins, separated by commas.",
    )
    admin_second_factor: bool | None = Field(
        default=None,
        description="Whether super-admins must have a second factor: without one they only get to "
        "the page that sets it up. Empty: as EXECFABRIC_HTTPS.",
    )
    session_idle_s: int = Field(
        default=2 * 3_600,
        ge=60,
        description="Seconds without a request after which a person has to log in again.",
    )
    session_longest_s: int = Field(
        default=12 * 3_600,
        ge=60,
        description="Seconds after which a person has to log in again in any case.",
    )
    proof_s: int = Field(
        default=900,
        ge=30,
        le=3_600,
        description="Seconds for which a login, or giving the password again, counts as proof of "
        "who somebody is: dangerous acts ask for one.",
    )
    trusted_proxies: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Addresses, or ranges of them, of the proxies whose X-Forwarded-For is "
        "believed, separated by commas; where one stands before another, of all of them.",
    )
    second_reviewer: bool = Field(
        default=False,
        description="Whether two different reviewers must approve a script of high risk.",
    )
    upload_bytes: int = Field(
        default=100 * 1024 * 1024, ge=1, description="Largest file a user may upload, in bytes."
    )
    files_kept_days: int = Field(
        default=90,
        ge=1,
        description="Days that artifacts, input files and the log are kept after an execution "
        "ended, in tenants that chose no number of their own.",
    )
    files_kept_days_most: int = Field(
        default=730, ge=1, description="Most days a tenant may choose for the same."
    )
    deletion_grace_days: int = Field(
        default=30,
        ge=1,
        description="Days between the order to delete a closed tenant and its deletion, in which "
        "it can be cancelled.",
    )
    exports_kept_days: int = Field(
        default=14, ge=1, description="Days that the export of a tenant is kept once it is made."
    )
    sandbox: str = Field(
        default="ns",
        description="Isolation every run must have: ns, bwrap or, weaker, ll or process; see "
        "docs/isolation.md. A worker that cannot give it does not start.",
    )
    lease_s: int = Field(
        default=30,
        ge=5,
        le=600,
        description="Seconds after which a run is lost whose worker says nothing; the same for all "
        "processes. A machine that is frozen for as long loses its runs.",
    )
    drain_s: float = Field(
        default=5,
        ge=0,
        le=3_600,
        description="Seconds that runs may go on after their worker was asked to stop. What still "
        "goes on then is ended and fails, with that reason. Whatever stops the worker must wait 10 "
        "seconds longer before it kills it.",
    )
    network_allow: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="Hosts that are not public and yet open to skills that name them in "
        "network_hosts: names, addresses or ranges, each with :port if only one is meant, "
        "separated by commas. Example: git.intra:443,10.1.0.0/16.",
    )
    package_index_url: str = Field(
        default="",
        description="https://user:password@host/simple of the index that packages of scripts come "
        "from, and no other. Empty: uv's default, or what its own variables say. Only onboarding "
        "needs it, runs never do.",
    )
    pythons: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Pythons that scripts may ask for by requires-python, beside those in PATH, "
        "/usr, ~/.pyenv and of uv: programs, or folders of them, separated by colons.",
    )
    environments_keep_days: int = Field(
        default=30,
        ge=2,
        description="Installed packages and unpacked scripts that no run used for so many days are "
        "removed from a worker's disk; they are fetched from storage when they are needed again.",
    )
    memory_groups: bool = Field(
        default=False,
        description="Whether each run gets a memory cgroup where the machine gives one. Its memory "
        "is then bounded by the kernel, not measured every 50 ms; a run takes about 10 ms longer.",
    )
    warm_starts: bool = Field(
        default=True,
        description="Whether runs fork from an interpreter kept ready for their tenant. False: "
        "each starts one of its own, in the same sandbox, and takes longer.",
    )
    shared_sandboxes: bool = Field(
        default=True,
        description="Whether rows of a batch, and runs of one person and version that need no "
        "confirmation and come within two seconds, share a sandbox, one after another. False: each "
        "run has a sandbox of its own, and takes longer.",
    )
    email_url: str = Field(
        default="",
        description="smtp://user:password@host:587 for outgoing mail. Empty: to the log.",
    )
    email_from: str = Field(
        default="",
        description="Address that outgoing mail comes from, such as Name <address>. Empty: "
        "execfabric@ and the base domain, which most mail servers refuse unless it is yours.",
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="Least important log line that is written.",
    )
    pg_bin: str = Field(
        default="",
        description="Folder of the pg_dump that opens tenants. Empty: the one of the wheel.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in SECRETS:
            path = os.environ.get(f"{PREFIX}{name.upper()}_FILE")
            if path and not values.get(name):
                values[name] = Path(path).read_text().strip()
        return values

    @field_validator("secret_key", "audit_key", "seals_webhook_secret")
    @classmethod
    def _long_enough(cls, key: str) -> str:
        if key and len(key) < SHORTEST_KEY:
            raise ValueError(f"give at least {SHORTEST_KEY} random characters, better 50")
        return key

    @field_validator("admin_second_factor", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("credential_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in re.split("[,\n]", value) if part.strip())
        return value

    @field_validator("credential_keys")
    @classmethod
    def _keys_long_enough(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(f"give at least {SHORTEST_KEY} random characters for each key")
        return keys

    @field_validator("package_index_url")
    @classmethod
    def _is_index(cls, url: str) -> str:
        if url and not url.startswith(("https://", "http://", "file:///")):
            raise ValueError("give an address such as https://host/simple")
        return url

    @field_validator("pythons", mode="before")
    @classmethod
    def _split_paths(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part for part in value.split(os.pathsep) if part)
        return value

    @field_validator("sandbox")
    @classmethod
    def _is_a_level(cls, name: str) -> str:
        if name not in LEVELS:
            raise ValueError(f"there are these levels: {', '.join(LEVELS)}")
        return name

    @field_validator("network_allow")
    @classmethod
    def _are_rules(cls, texts: frozenset[str]) -> frozenset[str]:
        parse_rules(texts)
        return texts

    @field_validator("trusted_proxies")
    @classmethod
    def _are_ranges(cls, texts: frozenset[str]) -> frozenset[str]:
        for text in texts:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(
                    f"give addresses such as 10.0.0.5 or 10.0.0.0/24: {error}"
                ) from None
        return texts

    @field_validator("seals_webhook_url")
    @classmethod
    def _is_callable(cls, url: str) -> str:
        if url:
            try:
                parse_url(url)
            except NotUsable as error:
                raise ValueError(f"give an address such as https://host/path: {error}") from None
        return url

    @model_validator(mode="after")
    def _webhook_has_a_secret(self) -> Self:
        if self.seals_webhook_url and not self.seals_webhook_secret:
            raise ValueError("a seals_webhook_url needs a seals_webhook_secret")
        return self

    @field_validator(
        "admin_usernames", "trusted_proxies", "network_allow", "seals_email", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return frozenset(part.strip() for part in value.split(",") if part.strip())
        return value
