"""The platform's settings, with the migrations of a version that is newer (release.py)."""

from execfabric.settings import *  # noqa: F403

MIGRATION_MODULES = {"menu": "bench_newer_menu"}
