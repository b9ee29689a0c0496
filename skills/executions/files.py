"""Input files: uploads and samples, stored once however often the same content comes in."""

from __future__ import annotations

import hashlib
import io
import unicodedata
from collections.abc import Collection
from datetime import timedelta
from typing import IO
from uuid import UUID

from django.db import transaction

from execfabric.core.actions import action
from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import InvalidInput, NotFound
from execfabric.core.ids import uuid7
from execfabric.core.roles import RUNNERS
from execfabric.core.storage import store_file
from skills.catalogue.models import SkillVersion
from skills.catalogue.samples import read_sample, samples_of

from .models import Execution, InputUse, StoredContent, StoredFile
from .selectors import files_usable_by

UNUSED_FOR = timedelta(hours=24)
"""How long an upload that no execution was given is kept."""
SAMPLE = "sample:"
"""Begins the value of a file input that names a sample of the skill instead of an upload."""
LONGEST_NAME_BYTES = 255
PIECE_BYTES = 1 << 20
FOLDER = "uploads"
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing: with them a name can look like another."""


@action("executions.file.upload", title="Upload an input file", roles=RUNNERS)
def upload_file(*, actor: Actor, name: str, content: IO[bytes]) -> StoredFile:
    """Store an input file of actor. Each upload is a file of its own; the same content is stored
    once in the tenant.

    name is what the user's machine called it; only its last part is kept. An upload that no
    execution is given expires after UNUSED_FOR. Raises InvalidInput.
    """
    shown = checked_name(name)
    sha256, size_bytes = _measured(content)
    return _keep(actor, shown, content, sha256=sha256, size_bytes=size_bytes)


def checked_name(name: str) -> str:
    """Return the last part of name. Raises InvalidInput for a name that cannot be shown safely."""
    last = unicodedata.normalize("NFC", name.replace("\\", "/").rsplit("/", 1)[-1]).strip()
    wrong = ""
    if last in {"", ".", ".."}:
        wrong = "Give the file a name."
    elif len(last.encode("utf-8", "replace")) > LONGEST_NAME_BYTES:
        wrong = f"Give the file a name of at most {LONGEST_NAME_BYTES} bytes."
    elif any(_is_odd(char) for char in last):
        wrong = "The file's name contains characters that cannot be shown. Rename it."
    if wrong:
        raise InvalidInput(wrong, fields={"file": wrong})
    return last


def sample_file(actor: Actor, version: SkillVersion, path: str) -> StoredFile:
    """Return a sample of the skill as an input file of actor, the same one each time.

    For use inside an action of actor. Raises InvalidInput for any other name, with those there are.
    """
    try:
        content = read_sample(version, path)
    except NotFound:
        there = ", ".join(f"{SAMPLE}{sample.path}" for sample in samples_of(version))
        has = f"It has: {there}." if there else "It has none."
        raise InvalidInput(f"names no sample of this skill. {has}") from None
    name = path.rsplit("/", 1)[-1]
    sha256 = hashlib.sha256(content).hexdigest()
    known = files_usable_by(actor).filter(name=name, sha256=sha256).order_by("pk").first()
    if known is not None:
        return known
    with transaction.atomic():  # Asking for a run is none.
        return _keep(actor, name, io.BytesIO(content), sha256=sha256, size_bytes=len(content))


def note_use(execution: Execution, wanted: Collection[UUID]) -> None:
    """Keep the files execution was given for as long as its own.

    For use inside the action that asks for it. Raises InvalidInput when one of them was removed in
    the meantime.
    """
    ids = set(wanted)
    if not ids:
        return
    if hold_files(ids) != ids:
        raise InvalidInput("A file has expired meanwhile. Upload it again.")
    InputUse.objects.bulk_create(
        [InputUse(execution=execution, file_id=one) for one in sorted(ids)]
    )


def hold_files(wanted: Collection[UUID]) -> set[UUID]:
    """Return those of the wanted files that are still stored; they stay until the transaction ends.

    Whoever removes files locks them too, and looks for uses afterwards.
    """
    files = StoredFile.objects.select_for_update(no_key=True).order_by("pk")
    there = files.filter(pk__in=wanted, content__isnull=False)
    return set(there.values_list("pk", flat=True))


def locked_content(sha256: str, size_bytes: int) -> StoredContent:
    """Return the entry of a content, made if need be, locked until the transaction ends."""
    entry = StoredContent(
        sha256=sha256,
        size_bytes=size_bytes,
        stored_as=f"{current_schema()}/{FOLDER}/{sha256[:2]}/{sha256}",
    )
    while True:
        StoredContent.objects.bulk_create([entry], ignore_conflicts=True)
        locked = StoredContent.objects.select_for_update().filter(pk=sha256).first()
        if locked is not None:  # Else it was removed between the two statements.
            return locked


def _keep(
    actor: Actor, name: str, content: IO[bytes], *, sha256: str, size_bytes: int
) -> StoredFile:
    entry = locked_content(sha256, size_bytes)
    stored = store_file(f"{FOLDER}/{sha256[:2]}", sha256, content)
    return StoredFile.objects.create(
        id=uuid7(),
        name=name,
        size_bytes=size_bytes,
        sha256=sha256,
        stored_as=stored,
        content=entry,
        uploaded_by_id=actor.require_account(),
    )


def _measured(content: IO[bytes]) -> tuple[str, int]:
    """Return sha256 and size of content; of an upload what was measured while it came in."""
    known, size = getattr(content, "sha256", ""), getattr(content, "size", None)
    if known and size is not None:
        return known, size
    digest, size = hashlib.sha256(), 0
    while piece := content.read(PIECE_BYTES):
        digest.update(piece)
        size += len(piece)
    content.seek(0)
    return digest.hexdigest(), size


def _is_odd(char: str) -> bool:
    return char in _TURNING or unicodedata.category(char) in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
