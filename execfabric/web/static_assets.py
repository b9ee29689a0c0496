"""Static files of other packages, served from their installed wheels.

Nothing third-party is copied into the repository: the list below maps a static path to a file
inside a wheel, and only those files are ever served or collected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

from django.apps import apps
from django.contrib.staticfiles.finders import AppDirectoriesFinder, BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.checks import CheckMessage, Error
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage


class WheelFile(NamedTuple):
    """One file of an installed distribution, by its path inside the wheel."""

    distribution: str
    path: str

    def locate(self) -> Path | None:
        """Return where the file is installed, or None when it is not."""
        try:
            found = Path(str(distribution(self.distribution).locate_file(self.path)))
        except PackageNotFoundError:
            return None
        return found if found.is_file() else None


SWAGGER = "drf_spectacular_sidecar/swagger-ui-dist"
"""Where drf-spectacular's page looks for its files."""

WHEEL_FILES: Mapping[str, WheelFile] = {
    "vendor/htmx.min.js": WheelFile("django-htmx", "django_htmx/static/django_htmx/htmx-2.min.js"),
    "vendor/tabler.min.css": WheelFile(
        "starlette-admin", "starlette_admin/static/css/vendor/tabler.min.css"
    ),
    "vendor/tabler.min.js": WheelFile(
        "starlette-admin", "starlette_admin/static/js/vendor/tabler.min.js"
    ),
    **{
        f"{SWAGGER}/{name}": WheelFile(
            "drf-spectacular-sidecar",
            f"drf_spectacular_sidecar/static/{SWAGGER}/{name}",
        )
        for name in (
            "swagger-ui-bundle.js",
            "swagger-ui-standalone-preset.js",
            "swagger-ui.css",
        )
    },
}


class WheelStorage(FileSystemStorage):
    """Read-only view of the listed files; any other name is refused."""

    def path(self, name: str) -> str:
        """Return the absolute path behind name.

        Raises SuspiciousFileOperation for a name that is not listed, FileNotFoundError for a
        listed file that its wheel does not hold.
        """
        if name not in WHEEL_FILES:
            raise SuspiciousFileOperation(f"{name} is not a listed wheel file.")
        found = WHEEL_FILES[name].locate()
        if found is None:
            raise FileNotFoundError(name)
        return str(found)


class OwnAppsFinder(AppDirectoriesFinder):
    """The static folders of our own apps; of other packages only WHEEL_FILES are served."""

    OWN = ("execfabric", "governance", "skills", "tenants")

    def __init__(self, app_names: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        installed = app_names or [each.name for each in apps.get_app_configs()]
        own = [name for name in installed if name.partition(".")[0] in self.OWN]
        super().__init__(own, *args, **kwargs)


class WheelAssetsFinder(BaseFinder):
    """Finds the files of WHEEL_FILES; name it in STATICFILES_FINDERS."""

    storage = WheelStorage()

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Report every listed file that is not installed, so that a start fails early."""
        return [
            Error(
                f"The static file {name} is missing.",
                hint=f"Reinstall {wheel_file.distribution}; it should hold {wheel_file.path}.",
                id="web.E001",
            )
            for name, wheel_file in WHEEL_FILES.items()
            if wheel_file.locate() is None
        ]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """Return the file behind path; a list when find_all, empty when there is none."""
        wheel_file = WHEEL_FILES.get(path)
        found = wheel_file.locate() if wheel_file else None
        if found is None:
            return []
        return [str(found)] if find_all else str(found)

    def list(
        self, ignore_patterns: Iterable[str] | None
    ) -> Iterator[tuple[str, FileSystemStorage]]:
        """Yield (path, storage) of every listed file."""
        for name in WHEEL_FILES:
            if not matches_patterns(name, ignore_patterns or ()):
                yield name, self.storage
