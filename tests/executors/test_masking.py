"""Secrets are found however they are spelled."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from executors.masking import Masker, StreamMasker

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
