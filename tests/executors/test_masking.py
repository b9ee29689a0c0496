"""Secrets are found however they are spelled."""

from __future__ import annotations

import base64
import json
import random
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.masking import FileMasker, Masker, StreamMasker

SECRET = 'p&ss "wörd"\\1'


@pytest.mark.parametrize(
    "spelled",
    [SECRET, quote(SECRET, safe=""), quote_plus(SECRET), json.dumps(SECRET)[1:-1]],
)
def test_every_spelling_is_masked(spelled: str) -> None:
    assert Masker([SECRET]).mask(f"key={spelled};") == "key=***;"


@pytest.mark.parametrize("before", ["", "u", "us", "use"])
@pytest.mark.parametrize("after", ["", "x", "xy"])
def test_base64_is_masked_at_every_shift(before: str, after: str) -> None:
    encoded = base64.b64encode(f"{before}{SECRET}{after}".encode()).decode()
    core = base64.b64encode(b"  " + SECRET.encode() + b" ").decode()

    shown = Masker([SECRET]).mask(encoded)

    assert "***" in shown
    assert len(shown.replace("***", "")) <= 10
    assert core[4:-4] not in shown


def test_a_secret_that_begins_with_another_goes_as_a_whole() -> None:
    masker = Masker(["abcd", "abcdefgh"])

    assert masker.mask("abcdefgh abcd") == "*** ***"


def test_short_values_are_left_alone() -> None:
    assert Masker(["1", "", "abc"]).mask("1 abc") == "1 abc"


def test_keys_and_values_of_json_are_masked() -> None:
    assert Masker(["hunter22"]).mask_json({"hunter22": ["a hunter22", 3, None]}) == {
        "***": ["a ***", 3, None]
    }


def test_a_secret_in_two_pieces_is_masked_and_the_rest_not_held_back() -> None:
    stream = StreamMasker(Masker(["hunter22"]))

    assert stream.feed("so hun") == "so "
    assert stream.feed("ter22 and more") == "*** and more"
    assert stream.feed("hunt", final=True) == "hunt"


SPELLINGS = {
    "plain": SECRET.encode(),
    "url": quote(SECRET, safe="").encode(),
    "form": quote_plus(SECRET).encode(),
    "json": json.dumps(SECRET)[1:-1].encode(),
    "json in UTF-8": json.dumps(SECRET, ensure_ascii=False)[1:-1].encode(),
    "base64": base64.b64encode(SECRET.encode()),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()),
}


def masked(content: bytes, size: int, *secrets: str) -> bytes:
    """Return content as it comes out when it is read in pieces of a size."""
    masker = FileMasker(Masker(secrets or [SECRET]))
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join([*map(masker.feed, pieces), masker.feed(b"", final=True)])


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_000])
def test_a_file_is_masked_wherever_its_pieces_end(spelled: bytes, size: int) -> None:
    content = b"a" * 40 + spelled + b"\nb" * 40 + spelled

    assert masked(content, size) == b"a" * 40 + b"***" + b"\nb" * 40 + b"***"


@pytest.mark.parametrize("before", [b"", b"u", b"us"])
def test_base64_in_a_file_is_masked_at_every_shift(before: bytes) -> None:
    encoded = base64.b64encode(before + SECRET.encode() + b"!")

    kept = masked(b"Authorization: Basic " + encoded, 5)

    assert b"***" in kept
    assert len(kept.removeprefix(b"Authorization: Basic ").replace(b"***", b"")) <= 10


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_binary_file_keeps_its_length(encoding: str) -> None:
    secret = SECRET.encode(encoding)
    content = b"\x00\x01\xff" + secret + b"\x00\xfe" * 300

    kept = masked(content, 100)

    assert len(kept) == len(content)
    assert secret not in kept
    assert kept.startswith(b"\x00\x01\xff")
    assert kept.endswith(b"\x00\xfe" * 300)
    assert kept[3 : 3 + len(secret)].decode(encoding).strip("*") == ""


def test_a_secret_of_several_lines_is_found_with_the_lines_of_windows() -> None:
    assert masked(b"<one line\r\nanother>", 4, "one line\nanother") == b"<***>"


@pytest.mark.parametrize(
    "shown", ["one\r\ntwo\x1b", "one\ntwo\x1b", "one\r\ntwo�", "one\ntwo�", r"one\r\ntwo\u001b"]
)
def test_a_secret_with_the_lines_of_windows_is_masked_as_it_is_and_as_a_log_has_it(
    shown: str,
) -> None:
    encoded = base64.b64encode(b"one\r\ntwo\x1b").decode()

    assert Masker(["one\r\ntwo\x1b"]).mask(f"<{shown}> {encoded}") == "<***> ***"


def test_of_two_secrets_in_a_file_the_longer_one_goes_as_a_whole() -> None:
    for size in (1, 3, 50):
        assert masked(b"abcdefgh abcd abcde", size, "abcd", "abcdefgh") == b"*** *** ***e"


def test_a_file_without_secrets_comes_out_as_it_is() -> None:
    content = bytes(range(256)) * 20

    assert masked(content, 333) == content
    assert FileMasker(Masker([])).feed(content) == content


def test_a_long_secret_in_many_pieces_costs_little_and_is_masked() -> None:
    secret = "".join(random.Random(1).choices("abcdefgh", k=100_000))
    stream = StreamMasker(Masker([secret]))
    started = time.process_time()

    shown = [stream.feed(piece) for piece in (f"so {secret[:70_000]}", secret[70_000:], " end")]

    assert time.process_time() - started < 2
    assert "".join(shown) == "so *** end"


def test_a_text_that_begins_a_secret_again_and_again_costs_little() -> None:
    masker = Masker(["a" * 60_000 + "c"])
    started = time.process_time()

    cut = masker.safe_length("aaaaaaaab" * 20_000)

    assert time.process_time() - started < 2
    assert 0 < cut <= 180_000


@given(st.text("ab", min_size=4, max_size=12), st.lists(st.text("ab", max_size=9), max_size=9))
def test_pieces_are_masked_as_the_whole_would_be(secret: str, pieces: list[str]) -> None:
    masker = Masker([secret])
    stream = StreamMasker(masker)

    shown = "".join([*(stream.feed(piece) for piece in pieces), stream.feed("", final=True)])

    assert shown == masker.mask("".join(pieces))
