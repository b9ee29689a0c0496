"""A stored file is whole or not there."""

from __future__ import annotations

import io
import threading

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage

from execfabric.core.ids import uuid7
from execfabric.core.storage import delete_file, files_below, open_file, store_file

CONTENT = b"0123456789" * 1000


@pytest.fixture
def name(acme):
    return f"file-{uuid7()}"


class Breaks(io.BytesIO):
    """Content that ends with an error after its first part, as a full disk or a kill would."""

    def read(self, size=-1):
        if self.tell() > 0:
            raise OSError("No space left on device")
        return super().read(100)


def content_of(stored):
    with open_file(stored) as file:
        return file.read()


def test_what_a_kill_left_of_a_file_is_replaced(acme, name):
    whole = f"{acme.schema_name}/tests/{name}"
    default_storage.save(whole, ContentFile(CONTENT[:7]))

    stored = store_file("tests", name, io.BytesIO(CONTENT))

    assert (stored, content_of(stored)) == (whole, CONTENT)


def test_a_write_that_fails_leaves_nothing_under_the_name_or_beside_it(acme, name):
    with pytest.raises(OSError, match="No space"):
        store_file("tests", name, Breaks(CONTENT))

    _folders, files = default_storage.listdir(f"{acme.schema_name}/tests")
    assert [each for each in files if each.startswith(name)] == []


def test_while_it_is_written_the_name_is_not_there(acme, name):
    seen = []

    class Looks(File):
        def chunks(self, chunk_size=None):
            yield CONTENT[:10]
            seen.append(default_storage.exists(f"{acme.schema_name}/tests/{name}"))
            yield CONTENT[10:]

    default_storage.save(f"{acme.schema_name}/tests/{name}", Looks(io.BytesIO(CONTENT)))

    assert seen == [False]


def test_a_whole_file_is_kept_as_it_is(name):
    stored = store_file("tests", name, io.BytesIO(CONTENT))
    changed_at = default_storage.get_modified_time(stored)

    assert store_file("tests", name, io.BytesIO(CONTENT)) == stored
    assert default_storage.get_modified_time(stored) == changed_at


def test_the_same_content_at_once_is_stored_once_and_whole(acme, name):
    whole = f"{acme.schema_name}/tests/{name}"
    start = threading.Barrier(4)
    stored = []

    def save():
        start.wait()
        stored.append(default_storage.save(whole, ContentFile(CONTENT)))

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stored == [whole] * 4
    assert content_of(whole) == CONTENT


class TestWalking:
    """Every file of a schema, in an order in which a walk can go on."""

    @pytest.fixture
    def names(self, acme):
        for folder, name in (
            ("walk/a", "2"), ("walk", "a.txt"), ("walk/b/c", "1"), ("walked", "x"),
        ):  # fmt: skip
            store_file(folder, name, io.BytesIO(b"1"))
        yield list(files_below("walk"))
        for name in [*files_below("walk"), *files_below("walked")]:
            delete_file(name)

    def test_all_files_below_a_folder_come_in_the_order_of_their_names(self, acme, names):
        assert names == [f"{acme.schema_name}/walk/{one}" for one in ("a.txt", "a/2", "b/c/1")]
        assert names == sorted(names)

    def test_a_walk_goes_on_after_any_name(self, names):
        for place, name in enumerate(names):
            assert list(files_below("walk", after=name)) == names[place + 1 :]

    def test_folders_are_skipped_and_a_missing_one_is_empty(self, acme, names):
        everything = list(files_below(skip=["walk"]))

        assert not [one for one in everything if one.startswith(f"{acme.schema_name}/walk/")]
        assert f"{acme.schema_name}/walked/x" in everything
        assert list(files_below("nowhere")) == []
