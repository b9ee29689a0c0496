"""Submissions as they lie before a reviewer, with their files in the tenant's storage."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.utils import timezone
from django_tenants.utils import schema_context

from executors.manifest import load_manifest
from executors.script.bundle import write_files
from skills.catalogue.workspace import store_bundle
from skills.hot_update.models import Revision, Submission
from skills.hot_update.states import SubmissionStatus
from tenants.accounts.models import Account
from tests.factories.skills import GREET, bundle_of

CHECKS = [
    {"check": "entry", "level": "pass", "title": "The entry is there", "details": "main.py"},
    {"check": "risky", "level": "warn", "title": "Risky calls", "details": "It opens no socket."},
]
TRIAL = {"status": "succeeded", "summary": "It greeted.", "log": "greeting you\n", "artifacts": []}


@contextmanager
def replaced_in_storage(revision: Revision, code: str) -> Iterator[None]:
    """Let other files lie where those of a revision are stored, for as long as the block takes."""
    path = Path(default_storage.path(revision.stored_as))
    kept = path.read_bytes()
    path.write_bytes(bundle_of({"main.py": code}).pack())
    try:
        yield
    finally:
        path.write_bytes(kept)


def make_revision(
    tenant: Any,
    code: str = GREET,
    *,
    name: str = "greet",
    author: str = "dana",
    status: SubmissionStatus = SubmissionStatus.IN_REVIEW,
    submission: Submission | None = None,
    lock: dict[str, Any] | None = None,
    files: dict[str, str] | None = None,
    **skill: Any,
) -> Revision:
    """Return a checked revision by author; with a submission its next one. skill: keys of it."""
    bundle = bundle_of({"main.py": code, **(files or {})})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, name)
        folder.mkdir()
        write_files(bundle, folder)
        manifest = load_manifest(folder).model_dump(exclude_none=True)
    asked = {"ai_callable": True, "manual": True, "confirm": False}
    manifest["skill"].update({**asked, **skill, "name": name})
    with schema_context(tenant.schema_name):
        stored_as = store_bundle(bundle)
        author_id = Account.objects.filter(username=author).values_list("pk", flat=True).first()
    who = {"submitted_by_id": author_id or 0, "submitted_by": author}
    now = timezone.now()
    with schema_context("public"):
        if submission is None:
            submission = Submission.objects.create(
                tenant=tenant, skill_name=name, status=status, created_at=now, changed_at=now, **who
            )
        revision = Revision.objects.create(
            submission=submission,
            number=submission.revisions.count() + 1,
            digest=bundle.digest,
            stored_as=stored_as,
            size_bytes=bundle.size_bytes,
            manifest=manifest,
            scenario="The front desk greets visitors.",
            **{key: manifest["skill"][key] for key in asked},
            created_at=now,
            checks=CHECKS,
            trial=TRIAL,
            lock={} if lock is None else lock,
            **who,
        )
        return Revision.objects.select_related("submission__tenant").get(pk=revision.pk)
