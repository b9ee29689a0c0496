"""Where files lie, and where packages come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pydantic import ValidationError

from execfabric.settings.environment import Environment
from execfabric.settings.services import storage_settings

DATA = Path("/data")


def test_files_lie_below_the_data_folder_or_where_a_url_says():
    here = storage_settings("", DATA)
    shared = storage_settings("file:///srv/shared%20files", DATA)

    assert here["OPTIONS"]["location"] == "/data/storage"
    assert shared == {**here, "OPTIONS": {**here["OPTIONS"], "location": "/srv/shared files"}}


@pytest.mark.parametrize("url", ["file://", "file:///", "file://host/folder", "/folder", "ftp://x"])
def test_an_address_that_names_no_storage_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match=r"s3://.* or file:///folder"):
        storage_settings(url, DATA)


def test_the_index_may_come_from_a_file_and_is_never_repeated(tmp_path, monkeypatch):
    secret = tmp_path / "index"
    secret.write_text("https://me:hunter22@index.example/simple\n")
    monkeypatch.setenv("EXECFABRIC_PACKAGE_INDEX_URL_FILE", str(secret))
    assert Environment().package_index_url == "https://me:hunter22@index.example/simple"

    secret.write_text("me:hunter22@index.example")
    with pytest.raises(ValidationError, match="https://host/simple") as caught:
        Environment()
    assert "hunter22" not in str(caught.value)


def test_places_of_pythons_are_separated_by_colons(monkeypatch):
    monkeypatch.setenv("EXECFABRIC_PYTHONS", "/opt/a/bin:/opt/b/bin/python3.13:")

    assert Environment().pythons == ("/opt/a/bin", "/opt/b/bin/python3.13")


def test_packages_are_kept_longer_than_any_run_takes(monkeypatch):
    monkeypatch.setenv("EXECFABRIC_ENVIRONMENTS_KEEP_DAYS", "1")

    with pytest.raises(ValidationError, match="environments_keep_days"):
        Environment()
