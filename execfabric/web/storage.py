"""How static files are collected: hashed names, compressed, kept for a year by browsers."""

from __future__ import annotations

from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage


def _without_source_maps(patterns: tuple[Any, ...]) -> tuple[Any, ...]:
    """Drop the rules that rewrite sourceMappingURL: the wheels ship no .map files."""

    def keeps(rule: Any) -> bool:
        expression = rule[0] if isinstance(rule, tuple) else rule
        return "sourceMappingURL" not in expression

    return tuple((glob, tuple(filter(keeps, rules))) for glob, rules in patterns)


class StaticStorage(CompressedManifestStaticFilesStorage):
    """WhiteNoise storage that also answers for a file that was not collected.

    An error page must not fail because of a missing stylesheet, so an uncollected name stays as
    it is and the browser gets a 404 for that one file.
    """

    manifest_strict = False
    patterns = _without_source_maps(CompressedManifestStaticFilesStorage.patterns)

    def stored_name(self, name: str) -> str:
        try:
            return str(super().stored_name(name))
        except ValueError:
            return name
