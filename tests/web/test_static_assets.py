from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File

from execfabric.web import static_assets
from execfabric.web.static_assets import WHEEL_FILES, WheelAssetsFinder, WheelFile, WheelStorage
from execfabric.web.storage import StaticStorage

WEB_STATIC = Path(static_assets.__file__).parent / "static"


def test_every_listed_file_is_installed() -> None:
    assert WheelAssetsFinder().check() == []


@pytest.mark.parametrize("name", WHEEL_FILES)
def test_a_listed_file_is_found_by_django(name: str) -> None:
    found = finders.find(name)

    assert found is not None
    assert Path(str(found)).stat().st_size > 1000


@pytest.mark.parametrize("name", ["vendor/other.js", "../vendor/htmx.min.js", "/etc/passwd", ""])
def test_nothing_else_in_a_wheel_can_be_reached(name: str) -> None:
    assert WheelAssetsFinder().find(name) == []
    with pytest.raises(SuspiciousFileOperation):
        WheelStorage().path(name)


@pytest.mark.parametrize("distribution", ["starlette-admin", "no-such-package"])
def test_a_missing_file_fails_the_system_check(
    distribution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"vendor/x.css": WheelFile(distribution, "no/such/file.css")}
    monkeypatch.setattr(static_assets, "WHEEL_FILES", missing)

    [error] = WheelAssetsFinder().check()

    assert error.id == "web.E001"
    assert "vendor/x.css" in error.msg


def test_collected_files_are_hashed_and_compressed(tmp_path: Path, settings: Any) -> None:
    settings.DEBUG = False
    settings.WHITENOISE_KEEP_ONLY_HASHED_FILES = False
    storage = StaticStorage(location=str(tmp_path), base_url="/static/")
    sources = {name: finders.find(name) for name in WHEEL_FILES if name.endswith(".js")}
    sources["web/app.css"] = str(WEB_STATIC / "web/app.css")
    for name, source in sources.items():
        with Path(str(source)).open("rb") as content:
            storage.save(name, File(content))

    done = list(storage.post_process({name: (storage, name) for name in sources}))

    assert not [result for result in done if isinstance(result[2], Exception)]
    hashed = storage.stored_name("web/app.css")
    assert hashed != "web/app.css"
    assert (tmp_path / f"{hashed}.gz").is_file()


def test_a_file_that_was_not_collected_does_not_break_a_page(tmp_path: Path, settings: Any) -> None:
    settings.DEBUG = False
    storage = StaticStorage(location=str(tmp_path), base_url="/static/")

    assert storage.url("web/none.css") == "/static/web/none.css"


def test_the_console_loads_nothing_from_elsewhere() -> None:
    folder = WEB_STATIC.parent
    own = [*folder.glob("templates/**/*.html"), *WEB_STATIC.glob("**/*.*")]

    for path in own:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert "javascript:" not in text, path
        assert " style=" not in text, path
        assert " onclick=" not in text, path
        assert "<style" not in text, path
