"""What differs between script folders, whatever somebody put into them."""

from __future__ import annotations

import random
import time

import pytest

from executors.script.bundle import MAX_FILES, Bundle, BundleFile
from executors.script.differences import (
    LONGEST_LINE,
    MOST_FILE_LINES,
    MOST_LINES,
    MOST_SECONDS,
    Omitted,
    changed_files,
    changed_text,
)


def bundle(**files: bytes) -> Bundle:
    return Bundle(tuple(BundleFile(path, False, content) for path, content in files.items()))


def lines(seed: int, count: int, kinds: int) -> bytes:
    chosen = random.Random(seed)
    return "".join(f"{chosen.randrange(kinds)}\n" for _ in range(count)).encode()


def test_a_change_reads_as_a_unified_diff():
    before = "".join(f"{number}\n" for number in range(1, 21))
    after = before.replace("\n10\n", "\nten\n") + "21\n"

    change = changed_text("notes", before, after)

    assert change.unified.split("\n") == [
        *("--- a/notes", "+++ b/notes", "@@ -7,7 +7,7 @@", " 7", " 8", " 9", "-10", "+ten", " 11"),
        *(" 12", " 13", "@@ -18,3 +18,4 @@", " 18", " 19", " 20", "+21"),
    ]
    assert (change.added, change.removed, change.omitted) == (2, 1, None)


@pytest.mark.parametrize(
    ("old", "new", "head"),
    [
        ("", "a\n", "@@ -0,0 +1 @@"),
        ("a\n", "", "@@ -1 +0,0 @@"),
        ("a\na\n", "a\n", "@@ -1,2 +1 @@"),
    ],
)
def test_texts_that_are_short_or_empty(old, new, head):
    assert changed_text("x", old, new).lines[0] == ("@", head)


def test_a_new_executable_bit_shows_with_and_without_other_changes():
    old = Bundle((BundleFile("run.sh", False, b"one\n"), BundleFile("x", True, b"")))
    new = Bundle((BundleFile("run.sh", True, b"two\n"), BundleFile("x", False, b"")))

    script, other = changed_files(old, new)

    assert (script.what, script.executable, other.what, other.executable) == (
        *("changed", True),
        *("mode", False),
    )


def test_what_does_not_show_is_written_out():
    change = changed_text("x", "", "a\u202eb\n")

    assert change.lines[1] == ("+", "a\u27e6U+202E\u27e7b")


def test_an_endless_line_is_compared_as_a_whole_and_shown_in_part():
    change = changed_text("x", "a" * 400_000, "a" * 399_999 + "b")

    assert (change.added, change.removed) == (1, 1)
    assert all(len(text) < LONGEST_LINE + 50 for _sign, text in change.lines)
    assert "(400000 characters)" in change.lines[1][1]


def test_a_file_of_megabytes_is_named_only():
    (change,) = changed_files(bundle(a=b"x" * 5_000_000), bundle(a=b"y"))

    assert (change.lines, change.omitted, change.is_cut) == ((), Omitted.TOO_LARGE, True)


@pytest.mark.parametrize(
    ("count", "kinds"), [(9_900, 190), (9_000, 90), (100_000, 120), (250_000, 2)]
)
def test_lines_made_to_be_slow_to_compare_are_shown_as_a_whole(count, kinds):
    started = time.process_time()

    (change,) = changed_files(
        bundle(a=lines(1, count, kinds)[:500_000]), bundle(a=lines(2, count, kinds)[:500_000])
    )

    assert time.process_time() - started < 2 * MOST_SECONDS
    assert (len(change.lines), change.omitted) == (MOST_FILE_LINES, Omitted.CUT)


def test_as_many_files_as_there_can_be_are_all_named_in_bearable_time_and_length():
    old, new = (
        bundle(**{f"f{n:03}": lines(seed + n, 10_000, 190) for n in range(MAX_FILES)})
        for seed in (0, 1000)
    )
    started = time.process_time()

    changes = changed_files(old, new)

    assert time.process_time() - started < 2 * MOST_SECONDS
    assert len(changes) == MAX_FILES
    assert sum(len(change.lines) for change in changes) <= MOST_LINES
    assert changes[-1].omitted == Omitted.CUT
