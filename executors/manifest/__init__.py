"""``skill.toml``: what a skill is called, takes, returns and needs.

CLI, server and agent read and write it through here, so they cannot disagree.
"""

from executors.manifest.folder import generate_manifest, load_manifest, load_resource_manifest
from executors.manifest.model import Field, Manifest, ManifestError, ResourceManifest, SkillTable

__all__ = [
    "Field",
    "Manifest",
    "ManifestError",
    "ResourceManifest",
    "SkillTable",
    "generate_manifest",
    "load_manifest",
    "load_resource_manifest",
]
