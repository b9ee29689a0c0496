"""The manifest of a submission: that of the bundle, with what the form or the request changed.

Everywhere a manifest is the tables of ``skill.toml`` as JSON: {"skill": {…}, "inputs": {…}, …}.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _

from execfabric.core.errors import InvalidInput
from executors.contract import ExecutorError
from executors.manifest import Manifest, load_manifest
from executors.manifest.model import MANIFEST_NAME, SLUG, SLUG_LENGTH, ManifestError
from executors.script.bundle import Bundle, write_files

Tables = dict[str, Any]

NAMELESS = "_"
"""Name of a folder that gives a skill no name."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a bundle says about itself."""

    tables: Tables
    problem: str = ""
    """Why its manifest cannot be used; tables is then the little that is known all the same."""


@contextmanager
def unpacked(bundle: Bundle, name: str = NAMELESS) -> Iterator[Path]:
    """Give a folder called name with the files of bundle, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="execfabric-submission-") as place:
        folder = Path(place) / (name or NAMELESS)
        folder.mkdir()
        write_files(bundle, folder)
        yield folder


def draft_of(bundle: Bundle, *, name: str = "") -> Draft:
    """Return the manifest in bundle, or one made from its code and README, called name if given."""
    with unpacked(bundle, slugify(name)[:SLUG_LENGTH]) as folder:
        try:
            tables = tables_of(load_manifest(folder))
        except ExecutorError as error:
            return Draft(_without_manifest(bundle, name), str(error))
    if name:
        tables["skill"]["name"] = name
    return Draft(tables)


def tables_of(manifest: Manifest) -> Tables:
    tables = manifest.model_dump(exclude_none=True)
    for field in [*tables["inputs"].values(), *tables["outputs"].values()]:
        if not field["optional"]:
            del field["optional"]
    return tables


def with_changes(tables: Tables, changes: Mapping[str, Any]) -> Tables:
    """Return tables with single keys replaced, checked as a manifest. Raises InvalidInput.

    changes has the form of a manifest; None as a value takes the key out.
    """
    merged: Tables = {name: dict(table) for name, table in tables.items()}
    try:
        for table, keys in changes.items():
            for key, value in dict(keys).items():
                if table in ("inputs", "outputs"):
                    value = _merged(merged.setdefault(table, {}).get(key, {}), dict(value))
                merged[table] = _merged(merged.get(table, {}), {key: value})
        return tables_of(Manifest.from_tables(merged, file=_("The manifest")))
    except ManifestError as error:
        raise InvalidInput(str(error), fields={"manifest": str(error)}) from None
    except (TypeError, ValueError, AttributeError):
        wrong = _('It must be an object of tables, such as {"skill": {"risk": "high"}}.')
        raise InvalidInput(wrong, fields={"manifest": wrong}) from None


def require_name(tables: Tables) -> str:
    """Return the name of the skill. Raises InvalidInput when it can be none."""
    name = str(tables.get("skill", {}).get("name", ""))
    if not SLUG.fullmatch(name) or len(name) > SLUG_LENGTH:
        rule = _("Use a-z, 0-9 and single hyphens between them, at most %(length)d characters.") % {
            "length": SLUG_LENGTH
        }
        wrong = _("The skill needs another name.")
        raise InvalidInput(f"{wrong} {rule}", fields={"name": rule})
    return name


def manifest_of(tables: Tables) -> Manifest | None:
    """Return the manifest of stored tables, None when they are not usable as one."""
    try:
        return Manifest.from_tables(tables)
    except ManifestError:
        return None


def toml_of(tables: Tables) -> str:
    """Return a manifest as text; empty for one that cannot be used."""
    manifest = manifest_of(tables)
    return manifest.to_toml() if manifest else ""


def _merged(old: Mapping[str, Any], changes: Mapping[str, Any]) -> Tables:
    return {key: value for key, value in {**old, **changes}.items() if value is not None}


def _without_manifest(bundle: Bundle, name: str) -> Tables:
    """Return name, runtime and entry: enough to say on a page what was submitted."""
    said: Any = {}
    with suppress(ValueError, RecursionError, AttributeError):
        said = tomllib.loads((bundle.read(MANIFEST_NAME) or b"").decode()).get("skill", {})
    said = said if isinstance(said, dict) else {}
    runtime = "python" if bundle.read("main.py") is not None else "shell"
    return {
        "skill": {
            "name": name or str(said.get("name", "")) or "skill",
            "title": str(said.get("title", ""))[:200],
            "runtime": runtime,
            "entry": "main.py" if runtime == "python" else "main.sh",
        },
        "inputs": {},
        "outputs": {},
    }
