"""Secrets: in, used, replaced, revoked; never out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import CommandError, call_command
from django.db import DatabaseError, ProgrammingError, connection, transaction
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput, ProofNeeded
from execfabric.core.models import AuditEvent
from governance.http_access import vault
from governance.http_access.credentials import services
from governance.http_access.grants.services import grant_resource
from governance.http_access.models import HttpCredential, HttpCredentialVersion, HttpResource
from governance.http_access.selectors import latest_version
from governance.http_access.services import Description, create_resource, revise_resource
from governance.http_access.trials.services import try_resource
from skills.executions.models import Execution
from skills.executions.running import run_execution
from tests.conftest import tenant_named
from tests.executors.http.conftest import Api

from .conftest import INPUTS, READING, SECRET


def used(credential: HttpCredential) -> dict[str, str]:
    return services.use_credential(
        actor=Actor.system("worker"), credential=credential, purpose="a test", schema="public"
    )


def test_a_secret_comes_back_for_a_worker_and_each_use_is_on_record(key: HttpCredential) -> None:
    assert used(key) == {"value": SECRET}

    event = AuditEvent.objects.get(code="http_access.credential.use")
    assert (event.target_id, event.details["purpose"]) == (str(key.pk), "a test")


def test_nobody_but_the_system_uses_a_secret(key: HttpCredential, person: Any) -> None:
    with pytest.raises(Exception, match="not permitted"):
        services.use_credential(
            actor=person("sam").actor, credential=key, purpose="curiosity", schema="public"
        )


def test_no_secret_lies_in_the_database_in_the_open(key: HttpCredential) -> None:
    rows = json.dumps(
        [*HttpCredential.objects.values(), *HttpCredentialVersion.objects.values(),
         *AuditEvent.objects.values()],
        default=str,
    )  # fmt: skip

    assert SECRET not in rows
    assert "very-secret" not in repr(used(key))


def test_to_which_host_a_secret_goes_is_said_by_who_proved_again_who_they_are(
    key: HttpCredential, make_resource: Callable[..., HttpResource], person: Any
) -> None:
    stale = replace(person("sam").actor, is_proven=False)
    spec = {**READING, "base_url": "https://collects-secrets.example"}
    elsewhere = Description("Another host", spec, inputs=INPUTS, credential=key)

    with pytest.raises(ProofNeeded):
        create_resource(actor=stale, name="other", description=elsewhere)
    with pytest.raises(ProofNeeded):
        revise_resource(actor=stale, resource=make_resource(credential=key), description=elsewhere)


def test_a_ciphertext_moved_to_another_row_is_not_readable(
    key: HttpCredential, person: Any
) -> None:
    other = services.create_credential(
        actor=person("sam").actor, name="other", title="", style="api_key", settings={},
        secrets={"value": "another secret"},
    )  # fmt: skip
    sealed = key.versions.get().sealed
    other.versions.update(sealed=sealed)

    with pytest.raises(vault.NotReadable):
        used(other)


@pytest.mark.parametrize(
    "place", ["tenant_1001|http-credential|{id}|1", "public|http-credential|{id}|2"]
)
def test_a_ciphertext_is_bound_to_schema_and_version(key: HttpCredential, place: str) -> None:
    version = key.versions.get()

    with pytest.raises(vault.NotReadable):
        vault.unseal(vault.Sealed(version.key_id, version.sealed), place=place.format(id=key.pk))


def test_the_database_keeps_a_version_where_it_is(key: HttpCredential) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        key.versions.update(number=7)


def test_a_replaced_secret_is_used_at_once_and_the_old_one_is_gone(
    key: HttpCredential, person: Any
) -> None:
    services.replace_credential(
        actor=person("sam").actor, credential=key, secrets={"value": "the next one"}
    )

    assert used(key) == {"value": "the next one"}
    assert key.versions.get(number=1).sealed == ""


def test_a_revoked_or_expired_credential_is_used_no_more(key: HttpCredential, person: Any) -> None:
    HttpCredential.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(services.CredentialRevoked, match="expired"):
        used(key)
    HttpCredential.objects.update(expires_at=None)
    services.revoke_credential(actor=person("sam").actor, credential=key, reason="It leaked.")

    with pytest.raises(services.CredentialRevoked, match="revoked"):
        used(key)
    assert not HttpCredentialVersion.objects.exclude(sealed="").exists()
    with pytest.raises(Conflict):
        services.replace_credential(
            actor=person("sam").actor, credential=key, secrets={"value": "x"}
        )


def test_keys_are_rotated(key: HttpCredential, settings: Any) -> None:
    old = settings.CREDENTIAL_KEYS
    settings.CREDENTIAL_KEYS = ("a-new-key-of-the-operator-" + "n" * 20, *old)
    before = key.versions.get().sealed
    assert used(key) == {"value": SECRET}

    call_command("rotate_credential_keys", stdout=(said := StringIO()))

    assert "1 secrets" in said.getvalue()
    assert key.versions.get().sealed != before
    settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
    assert used(key) == {"value": SECRET}
    settings.CREDENTIAL_KEYS = old
    with pytest.raises(vault.NoKey):
        used(key)


def test_without_a_key_nothing_is_stored_and_nothing_rotated(
    platform: Any, person: Any, settings: Any
) -> None:
    settings.CREDENTIAL_KEYS = ()

    with pytest.raises(vault.NoKey):
        services.create_credential(
            actor=person("sam").actor, name="a", title="", style="bearer", settings={},
            secrets={"token": "x"},
        )  # fmt: skip
    with pytest.raises(CommandError):
        call_command("rotate_credential_keys")
    assert not HttpCredential.objects.exists()


@pytest.mark.parametrize(
    ("style", "settings", "secrets", "field"),
    [
        ("nothing", {}, {}, "style"),
        ("bearer", {}, {}, "token"),
        ("bearer", {}, {"token": "a\nb"}, "token"),
        ("bearer", {}, {"token": "a", "more": "b"}, "more"),
        ("oauth2", {}, {"client_id": "a", "client_secret": "b"}, "settings"),
        ("api_key", {"unknown": 1}, {"value": "a"}, "unknown"),
        ("client_certificate", {}, {"client_certificate": "x", "client_key": "y"},
         "client_certificate"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_not_stored(
    platform: Any, person: Any, style: str, settings: Any, secrets: Any, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        services.create_credential(
            actor=person("sam").actor, name="a", title="", style=style, settings=settings,
            secrets=secrets,
        )  # fmt: skip
    assert field in refused.value.fields


def pem(made: Any) -> str:
    """Return a certificate, or a private key, as text."""
    if isinstance(made, x509.Certificate):
        return made.public_bytes(serialization.Encoding.PEM).decode()
    no_password = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    return str(made.private_bytes(serialization.Encoding.PEM, pkcs8, no_password).decode())


def certificate_for(key: Any) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    now = timezone.now()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


def test_certificate_and_key_are_stored_together_only_if_they_belong_together(
    platform: Any, person: Any
) -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    secrets = {"client_certificate": pem(certificate_for(key)), "client_key": pem(key)}

    def store(**change: str) -> HttpCredential:
        return services.create_credential(
            actor=person("sam").actor, name="client", title="", style="client_certificate",
            settings={}, secrets={**secrets, **change},
        )  # fmt: skip

    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    ).decode()
    for wrong, said in (
        (pem(other), "of another certificate"),
        (locked, "protected by a password"),
        ("nonsense", "no private key"),
    ):
        with pytest.raises(InvalidInput) as refused:
            store(client_key=wrong)
        assert said in refused.value.fields["client_key"]
    assert used(store()) == secrets


def test_a_trial_says_what_is_wrong_with_the_credential_and_a_tenants_run_does_not(
    world: Api, key: HttpCredential, make_resource: Callable[..., HttpResource], person: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource(credential=key)
    grant_resource(actor=sam, resource=resource, tenant=tenant_named("acme"), level="run")
    services.revoke_credential(actor=sam, credential=key, reason="It leaked.")

    trial = try_resource(actor=sam, version=latest_version(resource), inputs={"customer": 7})
    run_execution(trial.pk)

    trial.refresh_from_db()
    assert "crm-key: The credential of this resource is revoked" in trial.error
    connection.set_tenant(tenant_named("acme"))
    asked = person("oscar").api.post(
        "/api/v1/executions", {"skill": resource.name, "inputs": {"customer": 7}}, format="json"
    )
    run_execution(asked.data["id"])
    error = Execution.objects.get(pk=asked.data["id"]).error
    assert "cannot be used now" in error
    assert "crm-key" not in error
    assert world.asked == []


def test_an_ending_credential_warns(key: HttpCredential) -> None:
    now = timezone.now()
    for days, status in ((None, "active"), (29, "expiring"), (31, "active"), (-1, "expired")):
        key.expires_at = None if days is None else now + timedelta(days=days)
        assert key.status_at(now) == status


def test_a_tenant_reads_no_table_but_its_lines_of_the_ledger(
    key: HttpCredential, acme: Any
) -> None:
    connection.set_tenant(acme)
    for table in ("credential", "credentialversion", "resource", "resourceversion", "write"):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM public.http_access_http{table}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.http_access_httpgrant")
        assert cursor.fetchone() == (0,)
