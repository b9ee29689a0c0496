"""Sample files of a skill: what its bundle holds below ``samples/``, for people to try it with."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from functools import lru_cache

from execfabric.core.errors import NotFound
from execfabric.core.storage import open_file
from executors.script.bundle import Bundle, BundleError, read_archive

from .models import SkillVersion

logger = logging.getLogger(__name__)

FOLDER = "samples/"
MOST_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Sample:
    path: str
    """Below ``samples/``, '/'-separated; checked when the bundle came in, and when it is read."""
    size_bytes: int


def samples_of(version: SkillVersion) -> tuple[Sample, ...]:
    """Return the first samples of a skill, by path; none when its bundle cannot be read."""
    if version.script_version is None:
        return ()
    try:
        return _listed(version.script_version.stored_as)
    except (BundleError, NotFound) as error:
        # The rest of the skill's page is worth showing without them.
        logger.warning("The samples of %s cannot be read: %s", version, error)
        return ()


def read_sample(version: SkillVersion, path: str) -> bytes:
    """Return the content of one sample. Raises NotFound for any other file."""
    if path in {sample.path for sample in samples_of(version)} and version.script_version:
        content = _bundle(version.script_version.stored_as).read(FOLDER + path)
        if content is not None:
            return content
    raise NotFound("There is no such sample.")


@lru_cache(maxsize=256)
def _listed(stored_as: str) -> tuple[Sample, ...]:
    """A bundle never changes, and its storage name carries the schema it belongs to."""
    found = [
        Sample(file.path.removeprefix(FOLDER), len(file.content))
        for file in _bundle(stored_as).files
        if file.path.startswith(FOLDER)
    ]
    return tuple(found[:MOST_SAMPLES])


def _bundle(stored_as: str) -> Bundle:
    with open_file(stored_as) as stored:
        return read_archive(io.BytesIO(stored.read()))
