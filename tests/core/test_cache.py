"""The cache never runs what it holds."""

from __future__ import annotations

import pickle
import uuid

import pytest
from django.core.cache import cache

from execfabric.core.redis import client


class Trap:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("The cache unpickled what somebody wrote.",))


@pytest.fixture
def key(acme):
    """A key of this test's own: other tests use the same server meanwhile."""
    return uuid.uuid4().hex


def test_what_was_stored_comes_back(key):
    for value in (1, "text", 2.5, None, True, {"a": [1, "b"]}):
        cache.set(key, value)
        assert cache.get(key, "nothing") == value


def test_numbers_can_be_counted(key):
    cache.set(key, 1)
    cache.incr(key)

    assert cache.get(key) == 2


def test_a_pickle_in_redis_is_not_loaded(key):
    client().set(cache.make_key(key), pickle.dumps(Trap()))

    with pytest.raises(ValueError):
        cache.get(key)
