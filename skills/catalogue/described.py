"""What a version takes from what was described: from a manifest, a bundle and its locked packages.

Whoever registers a version and whoever asks whether it is the one that was approved ask here.
"""

from __future__ import annotations

from typing import Any

from executors.contract import MEBIBYTE
from executors.manifest import Manifest
from executors.manifest.model import ResourceManifest
from executors.script.bundle import Bundle
from executors.script.environment.lock import Lock

from .models import Risk, SkillVersion

README = "README.md"


def words_of(name: str, manifest: Manifest | ResourceManifest, readme: str) -> dict[str, Any]:
    """Return what a version takes from its manifest, whatever its kind."""
    described = manifest.skill
    return {
        "title": described.title or name,
        "description": described.description,
        "readme": readme,
        "input_schema": manifest.input_schema(),
        "output_schema": manifest.output_schema(),
        "risk": described.risk,
        "confirm": described.confirm or described.risk == Risk.HIGH.value,
        "approval": described.approval,
        "visibility": described.visibility,
        "ai_callable": described.ai_callable,
        "manual": described.manual,
        "network": described.network,
        "network_hosts": list(described.network_hosts),
        "timeout_s": described.timeout_s,
        "memory_bytes": described.memory_mb * MEBIBYTE,
        "queue": described.queue,
        "concurrency": described.concurrency,
        "max_retries": described.retries,
        "tags": list(described.tags),
        "examples": list(described.examples),
    }


def asset_of(bundle: Bundle, manifest: Manifest, lock: Lock | None) -> dict[str, Any]:
    """Return what makes a script version another one: what it runs, how, and with what."""
    return {
        "digest": bundle.digest,
        "runtime": manifest.skill.runtime,
        "entry": manifest.skill.entry,
        "environment_id": lock.digest if lock else None,
    }


def readme_of(bundle: Bundle) -> str:
    return (bundle.read(README) or b"").decode("utf-8", "replace")


def differing(
    version: SkillVersion, bundle: Bundle, manifest: Manifest, lock: Lock | None
) -> list[str]:
    """Return by name what a registered version says other than what was described."""
    script = version.script_version
    pairs = [
        (name, getattr(version, name), value)
        for name, value in words_of(version.skill.name, manifest, readme_of(bundle)).items()
    ]
    pairs += [
        (name.removesuffix("_id"), getattr(script, name, None), value)
        for name, value in asset_of(bundle, manifest, lock).items()
    ]
    return [name for name, is_now, wanted in pairs if is_now != wanted]
