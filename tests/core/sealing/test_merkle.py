from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execfabric.core.sealing.merkle import paths_of, root_from, root_of


def leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(bytes([each % 256, each // 256])).digest() for each in range(count)]


def by_the_definition(nodes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1: split at the largest power of two below the count."""
    if len(nodes) == 1:
        return nodes[0]
    split = 1 << (len(nodes) - 1).bit_length() - 1
    left, right = by_the_definition(nodes[:split]), by_the_definition(nodes[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("count", [*range(1, 40), 255, 256, 257])
def test_the_root_is_that_of_rfc_6962_and_every_path_leads_to_it(count):
    tree = leaves(count)

    root = root_of(tree)

    assert root == by_the_definition(tree)
    for index, path in enumerate(paths_of(tree)):
        assert root_from(tree[index], index, count, path) == root


@given(st.integers(1, 70), st.data())
def test_no_path_proves_another_leaf_or_another_place(count, data):
    tree = leaves(count)
    index = data.draw(st.integers(0, count - 1))
    other = data.draw(st.integers(-1, count + 1))
    path = paths_of(tree)[index]

    assert root_from(leaves(count + 1)[-1], index, count, path) != root_of(tree)
    if other != index:
        assert root_from(tree[index], other, count, path) != root_of(tree)
    assert root_from(tree[index], index, count, [*path, tree[0]]) is None
