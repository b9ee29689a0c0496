"""The database, as its URL says."""

from __future__ import annotations

from execfabric.settings.services import database_settings


def test_a_network_that_swallows_everything_is_given_up_unless_the_url_says_otherwise():
    by_itself = database_settings("postgresql://app:x@db.example/fabric")["OPTIONS"]
    patient = database_settings("postgresql://app:x@db.example/fabric?connect_timeout=60")

    assert (by_itself["connect_timeout"], by_itself["tcp_user_timeout"]) == ("10", "15000")
    assert int(by_itself["keepalives_idle"]) < 240
    assert patient["OPTIONS"] == {**by_itself, "connect_timeout": "60"}
