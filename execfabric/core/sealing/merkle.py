"""Merkle trees as RFC 6962 has them: one root for many leaves, a short path for each leaf."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over at least one leaf."""
    return _levels(leaves)[-1][0]


def paths_of(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return for each leaf the nodes that lead from it to the root, the lowest first."""
    levels = _levels(leaves)[:-1]
    return [
        [
            level[place ^ 1]
            for height, level in enumerate(levels)
            if (place := index >> height) ^ 1 < len(level)
        ]
        for index in range(len(leaves))
    ]


def root_from(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that path leads to from leaf number index of count; None if it leads nowhere.

    The algorithm is that of RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < count:
        return None
    place, last, node = index, count - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            node = _parent(sibling, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = _parent(node, sibling)
        place, last = place >> 1, last >> 1
    return node if last == 0 else None


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    if not leaves:
        raise ValueError("A tree needs a leaf.")
    levels = [list(leaves)]
    while len(below := levels[-1]) > 1:
        pairs = zip(below[::2], below[1::2], strict=False)
        level = [_parent(left, right) for left, right in pairs]
        levels.append(level + below[len(level) * 2 :])  # One without a sibling goes up as it is.
    return levels


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
