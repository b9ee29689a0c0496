"""Which executor serves which kind of execution asset."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, TypeVar

from executors.contract import Executor, ExecutorError

ENTRY_POINT_GROUP = "execfabric.executors"

E = TypeVar("E", bound=type[Executor])


class UnknownKind(ExecutorError):
    """No executor is registered under this kind."""


class BrokenPlugin(ExecutorError):
    """An installed package announces an executor and cannot supply it."""


class DuplicateKind(ExecutorError):
    """Two executors claim the same kind; silently replacing one would be a security hole."""


class ExecutorRegistry:
    """Executor classes by kind. An instance is made at first use and then kept."""

    def __init__(
        self, *, package: str | None = None, entry_point_group: str = ENTRY_POINT_GROUP
    ) -> None:
        """package: its folders that hold an ``executor.py`` are the built-in kinds."""
        self._classes: dict[str, type[Executor]] = {}
        self._options: dict[str, dict[str, Any]] = {}
        self._instances: dict[str, Executor] = {}
        self._package = package
        self._group = entry_point_group
        self._plugins_loaded = False

    def register(self, kind: str) -> Callable[[E], E]:
        """Class decorator. Raises DuplicateKind when kind is taken."""

        def decorate(executor_class: E) -> E:
            self._add(kind, executor_class)
            return executor_class

        return decorate

    def configure(self, kind: str, **options: Any) -> None:
        """Set what the executor's constructor is called with; replaces an earlier instance."""
        self._options[kind] = options
        self._instances.pop(kind, None)

    def kinds(self) -> list[str]:
        """Return every known kind, sorted."""
        self._load_plugins()
        return sorted(self._classes)

    def get(self, kind: str) -> Executor:
        """Return the executor of kind. Raises UnknownKind."""
        if kind not in self._classes:
            self._load_plugins()
        if kind not in self._classes:
            known = ", ".join(self.kinds()) or "none"
            raise UnknownKind(f"There is no executor for {kind!r}. Known kinds: {known}.")
        if kind not in self._instances:
            self._instances[kind] = self._classes[kind](**self._options.get(kind, {}))
        return self._instances[kind]

    def _add(self, kind: str, executor_class: type[Executor]) -> None:
        if kind in self._classes:
            taken_by = self._classes[kind]
            raise DuplicateKind(
                f"The kind {kind!r} is already served by {taken_by.__module__}.{taken_by.__name__}."
            )
        executor_class.kind = kind
        self._classes[kind] = executor_class

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        if self._package:
            for folder in pkgutil.iter_modules(import_module(self._package).__path__):
                module = f"{self._package}.{folder.name}.executor"
                if folder.ispkg and find_spec(module):
                    import_module(module)
        for point in entry_points(group=self._group):
            try:
                loaded = point.load()
            except ExecutorError:
                raise
            except Exception as error:
                raise BrokenPlugin(
                    f"The executor of kind {point.name!r} ({point.value}) cannot be loaded: "
                    f"{type(error).__name__}: {error}. Mend or uninstall its package."
                ) from error
            # The module may have used the decorator itself while it was imported.
            if self._classes.get(point.name) is not loaded:
                self._add(point.name, loaded)
        self._plugins_loaded = True


EXECUTORS = ExecutorRegistry(package="executors")
