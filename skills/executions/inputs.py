"""From what a caller sent to inputs that fit the skill's schema."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from execfabric.core.actor import Actor
from execfabric.core.errors import InvalidInput
from executors.inputs import InvalidInputs, check_inputs
from skills.catalogue.models import SkillVersion

from .files import SAMPLE, sample_file
from .models import StoredFile
from .selectors import files_usable_by

NOT_RIGHT = "Some inputs are not right."


def checked_inputs(
    actor: Actor, version: SkillVersion, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return inputs with defaults filled in. Raises InvalidInput with the fields that do not fit.

    A file input is the id of a file actor uploaded, or ``sample:<name>``, which becomes the id of
    that sample as a file of actor; or a list of such.
    """
    try:
        checked = check_inputs(version.input_schema, dict(inputs))
    except InvalidInputs as error:
        raise InvalidInput(NOT_RIGHT, fields=error.fields) from None
    fields = {}
    for name in version.file_inputs & checked.keys():
        try:
            checked[name] = _with_samples(actor, version, checked[name])
        except InvalidInput as error:
            fields[name] = error.message
            continue
        wanted = file_ids(checked[name])
        found = None if wanted is None else files_usable_by(actor).filter(pk__in=wanted).count()
        if wanted is None or found != len(set(wanted)):
            fields[name] = (
                "is not the id of a file you uploaded, or it has expired. "
                "Send the file first (POST files)."
            )
    if fields:
        raise InvalidInput(NOT_RIGHT, fields=fields)
    return checked


def file_ids(value: Any) -> list[UUID] | None:
    """Return the ids in the value of a file input; None when it holds anything else."""
    texts = [] if value is None else value if isinstance(value, list) else [value]
    try:
        return [UUID(text) for text in texts]
    except (ValueError, TypeError, AttributeError):
        return None


def input_file_ids(version: SkillVersion, inputs: Mapping[str, Any]) -> set[UUID]:
    """Return the ids in all file inputs of checked inputs."""
    names = version.file_inputs & inputs.keys()
    return {one for name in names for one in file_ids(inputs[name]) or []}


def _with_samples(actor: Actor, version: SkillVersion, value: Any) -> Any:
    """Return the value of a file input with each name of a sample replaced by the id of a file."""
    if isinstance(value, list):
        return [_with_samples(actor, version, each) for each in value]
    if not (isinstance(value, str) and value.startswith(SAMPLE)):
        return value
    return str(sample_file(actor, version, value.removeprefix(SAMPLE)).pk)


def files_of(version: SkillVersion, inputs: Mapping[str, Any]) -> dict[str, list[StoredFile]]:
    """Return the stored files of each file input, in the order given."""
    files = {}
    for name in sorted(version.file_inputs & inputs.keys()):
        wanted = file_ids(inputs[name]) or []
        found = StoredFile.objects.in_bulk(wanted)
        files[name] = [found[each] for each in wanted]
    return files


def digest_of(inputs: Mapping[str, Any]) -> str:
    """Return the sha256 of inputs as canonical JSON (sorted keys, no spaces), hexadecimal."""
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
