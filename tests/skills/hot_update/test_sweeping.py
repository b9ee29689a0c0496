"""Stored script files: what somebody refers to stays, what came to nothing goes."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.models import AuditEvent
from execfabric.settings.services import storage_settings
from skills.catalogue.workspace import store_bundle
from skills.hot_update import sweeping, tasks
from tests.factories.revisions import bundle_of, make_revision
from tests.factories.skills import make_skill

CODE = "def main() -> str:\n    return {!r}\n"


@pytest.fixture
def own_storage(settings, tmp_path):
    """A storage that nobody else has: a sweep takes what its own database does not name."""
    settings.STORAGES = {**settings.STORAGES, "default": storage_settings("", tmp_path)}


@pytest.fixture
def stored(acme_tenant, own_storage):
    """Bundles of acme, all of them old: one only sent, one submitted, one registered."""
    with schema_context(acme_tenant.schema_name):
        sent = store_bundle(bundle_of({"main.py": CODE.format("only sent")}))
        skill = make_skill(code=CODE.format("registered"))
        registered = skill.version.script_version.stored_as
    submitted = make_revision(acme_tenant, CODE.format("submitted")).stored_as
    for name in (sent, submitted, registered):
        age(name)
    return {"sent": sent, "submitted": submitted, "registered": registered}


def age(name):
    then = (timezone.now() - sweeping.UNCLAIMED_AFTER - timedelta(hours=1)).timestamp()
    os.utime(default_storage.path(name), (then, then))


def there(stored):
    return {what for what, name in stored.items() if Path(default_storage.path(name)).exists()}


def test_what_was_only_sent_goes_and_what_was_submitted_or_registered_stays(stored, acme_tenant):
    tasks.sweep_bundles.run()

    assert there(stored) == {"submitted", "registered"}
    with schema_context(acme_tenant.schema_name):
        assert AuditEvent.objects.filter(code="hot_update.bundle.tidy").count() == 1


def test_who_sends_the_same_again_has_as_long_as_at_first(stored, acme_tenant):
    with schema_context(acme_tenant.schema_name):
        store_bundle(bundle_of({"main.py": CODE.format("only sent")}))

    tasks.sweep_bundles.run()

    assert "sent" in there(stored)
