from __future__ import annotations

import pytest
from pydantic import ValidationError

from execfabric.settings.environment import SHORTEST_KEY, Environment


def test_a_short_signing_key_stops_the_start_and_is_not_shown() -> None:
    with pytest.raises(ValidationError, match="at least 32") as refusal:
        Environment(secret_key="hunter2" * 4)

    assert "hunter2" not in str(refusal.value)


def test_a_long_one_and_none_at_all_are_usable() -> None:
    assert Environment(secret_key="k" * SHORTEST_KEY).secret_key == "k" * SHORTEST_KEY
    assert Environment(secret_key="").secret_key == ""


def test_credential_keys_come_by_comma_or_line_and_must_be_long() -> None:
    one, other = "a" * SHORTEST_KEY, "b" * SHORTEST_KEY

    assert Environment(credential_keys=f"{one}, {other}").credential_keys == (one, other)
    assert Environment(credential_keys=f"{one}\n{other}\n").credential_keys == (one, other)
    with pytest.raises(ValidationError, match="at least 32") as refusal:
        Environment(credential_keys=f"{one},hunter2")
    assert "hunter2" not in str(refusal.value)
