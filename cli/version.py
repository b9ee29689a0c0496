"""Which version of the program this is."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """Return the installed version; ``source`` in a clone, which is imported from its folder."""
    try:
        return metadata.version("execfabric")
    except metadata.PackageNotFoundError:
        return "source"


def user_agent() -> str:
    """Return what every call says of itself: the server records it as its door."""
    return f"execfabric-cli/{version()}"
