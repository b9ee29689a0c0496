"""The isolation levels there are. A further one is a class in a file of its own and a line here."""

from __future__ import annotations

from executors.script.bubblewrap.level import BubblewrapLevel
from executors.script.level import IsolationLevel, LevelUnavailable, ProcessLevel
from executors.script.sandbox.level import NamespaceLevel
from executors.script.sandbox.unshared_level import UnsharedLevel

LEVELS: dict[str, type[IsolationLevel]] = {
    level.name: level for level in (NamespaceLevel, BubblewrapLevel, UnsharedLevel, ProcessLevel)
}


def level_named(name: str) -> IsolationLevel:
    """Return the level of that name. Raises LevelUnavailable, naming those there are."""
    if name not in LEVELS:
        raise LevelUnavailable(
            f"There is no isolation level {name!r}. Known levels: {', '.join(sorted(LEVELS))}."
        )
    return LEVELS[name]()
