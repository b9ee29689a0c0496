"""The trial run of a submitted script: its sample inputs, the real sandbox, nobody's rights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from execfabric.core.actor import current_schema
from executors.contract import MEBIBYTE, ExecutionRequest, ExecutorError, Limits, Stream
from executors.inputs import InvalidInputs, check_inputs
from executors.manifest import Manifest
from executors.manifest.model import Field
from executors.registry import EXECUTORS
from executors.script.bundle import Bundle
from executors.script.environment.lock import Lock
from skills.catalogue.environments import build_and_store
from skills.catalogue.workspace import sync_bundle
from skills.executions.run_folders import make_run_folder

from .checks import Finding, Level
from .checks.registry import entry_of

LOG_CHARACTERS = 16_000
LONGEST_S = 900.0
MOST_MEMORY_BYTES = 1024 * MEBIBYTE
"""Nobody has looked at the manifest yet, so it may not ask for all of a worker."""
SAMPLES = "samples"
INPUTS_FILE = "inputs.json"
TITLE = "A trial run on the sample inputs"


class NoSamples(ExecutorError):
    """There is nothing to try the script with; the message says what to add."""


@dataclass
class Tail:
    """A sink that keeps the end of the log."""

    text: str = ""
    dropped: int = 0

    def log(self, stream: Stream, text: str) -> None:
        whole = self.text + text
        self.text = whole[-LOG_CHARACTERS:]
        self.dropped += len(whole) - len(self.text)

    def left_out(self, size_bytes: int) -> None:
        self.dropped += size_bytes

    def progress(self, fraction: float, message: str) -> None:
        """Nobody watches."""

    def alive(self) -> bool:
        return True


def try_out(
    bundle: Bundle, stored_as: str, manifest: Manifest, lock: Lock | None, *, name: str
) -> dict[str, Any]:
    """Run the bundle once, as a run of its skill would but without network; return what came of it.

    status is "succeeded", "failed", "timed_out" or "skipped"; with summary, error, log (its end),
    log_dropped (about so many bytes), artifacts ([{"name", "size_bytes"}]), inputs, wall_s.
    Nothing it made is kept. name tells the run from others in the log of the platform.
    """
    try:
        folder = sync_bundle(bundle.digest, stored_as)
        inputs = sample_inputs(manifest, folder)
        files = _files_of(manifest, inputs, folder / SAMPLES)
    except NoSamples as error:
        return {"status": "skipped", "summary": str(error)}
    python = build_and_store(lock) if lock else None
    tail = Tail()
    request = ExecutionRequest(
        execution_id=name,
        tenant=current_schema(),
        kind="script",
        resource={
            "folder": str(folder),
            "runtime": manifest.skill.runtime,
            "entry": manifest.skill.entry,
            "python": str(python) if python else None,
        },
        inputs=inputs,
        input_files=files,
        limits=Limits(
            timeout_s=min(manifest.skill.timeout_s, LONGEST_S),
            memory_bytes=min(manifest.skill.memory_mb * MEBIBYTE, MOST_MEMORY_BYTES),
        ),
    )
    with make_run_folder() as workdir:
        result = EXECUTORS.get("script").execute(request, tail, workdir=workdir)
        return {
            "status": result.outcome.value,
            "summary": result.summary[:2000],
            "error": result.error[-4000:],
            "log": tail.text.replace("\0", "�"),
            "log_dropped": tail.dropped,
            "artifacts": [
                {"name": file.name, "size_bytes": file.size_bytes} for file in result.artifacts
            ],
            "inputs": inputs,
            "wall_s": result.usage.wall_s,
        }


def sample_inputs(manifest: Manifest, folder: Path) -> dict[str, Any]:
    """Return the inputs to try with: ``samples/inputs.json``, else defaults and examples.

    A file is the name of one below ``samples/``. Raises NoSamples.
    """
    listed = folder / SAMPLES / INPUTS_FILE
    if listed.is_file():
        try:
            values = json.loads(listed.read_bytes())
        except (ValueError, RecursionError) as error:
            raise NoSamples(f"samples/{INPUTS_FILE} is not JSON: {error}.") from None
        if not isinstance(values, dict):
            raise NoSamples(f"samples/{INPUTS_FILE} must be an object of values by input name.")
    else:
        values = _guessed(manifest, folder / SAMPLES)
    try:
        return check_inputs(manifest.input_schema(), values)
    except InvalidInputs as error:
        raise NoSamples(f"The sample inputs do not fit: {error}.") from None


def finding_of(trial: dict[str, Any]) -> dict[str, Any]:
    """Return the report's entry about a trial. One that fails is for the reviewer to judge."""
    if trial["status"] == "succeeded":
        return entry_of("trial", TITLE, Finding(Level.PASS, trial["summary"] or "It succeeded."))
    said = trial.get("error") or trial["summary"]
    return entry_of("trial", TITLE, Finding(Level.WARN, str(said)[:2000]))


def _guessed(manifest: Manifest, samples: Path) -> dict[str, Any]:
    names = sorted(path.name for path in samples.iterdir()) if samples.is_dir() else []
    values: dict[str, Any] = {}
    for name, told in manifest.inputs.items():
        if told.default is not None:
            continue  # Filled in by the schema.
        if _is_file(told):
            fitting = [file for file in names if Path(file).stem == name] or names
            if fitting:
                values[name] = fitting[0] if told.format == "file" else fitting[:1]
                continue
        elif told.examples or told.enum:
            values[name] = (told.examples or told.enum or [None])[0]
            continue
        if told.is_required:
            raise NoSamples(
                f"It was not tried: nothing says what to give as {name!r}. "
                f"Add samples/{INPUTS_FILE} with a value for each input, and the files beside it."
            )
    return values


def _files_of(
    manifest: Manifest, inputs: dict[str, Any], samples: Path
) -> dict[str, Path | list[Path]]:
    files: dict[str, Path | list[Path]] = {}
    for name, told in manifest.inputs.items():
        value = inputs.get(name)
        if not _is_file(told) or not value:
            continue
        several = value if isinstance(value, list) else [value]
        paths = [samples / str(one) for one in several]
        for path in paths:
            # A name with folders in it could be one of another place.
            if path.parent != samples or not path.is_file():
                raise NoSamples(f"samples/{path.name}, the sample of {name!r}, is not there.")
        files[name] = paths if isinstance(value, list) else paths[0]
    return files


def _is_file(told: Field) -> bool:
    return told.format == "file" or bool(told.items and told.items.get("format") == "file")
