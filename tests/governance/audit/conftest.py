"""A trail whose first seals were made long ago, and a verifier as an auditor has it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from cli.main import main
from execfabric.core.actor import Actor, Door
from execfabric.core.audit import record
from execfabric.core.models import Outcome
from execfabric.core.sealing.seals import Signer
from execfabric.core.seals import seal_events

SIGNER = Signer("a key of the tests, long enough to be one")
YEARS_AGO = timezone.now() - timedelta(days=1_000)


def happen(*names: str) -> None:
    actor = Actor.system("tests", door=Door.COMMAND)
    for name in names:
        record(f"tests.{name}.do", actor=actor, outcome=Outcome.DONE)


def seal(at: datetime) -> int:
    """Seal all there is, as if it were that moment."""
    return seal_events(SIGNER, below_xid=2**62, sealed_at=at, everywhere=True)


@pytest.fixture
def old_trail(acme):
    """Three seals of years ago, and one of today."""
    seal(YEARS_AGO)
    happen("one", "two")
    seal(YEARS_AGO + timedelta(days=1))
    happen("three")
    seal(YEARS_AGO + timedelta(days=2))
    happen("today")
    seal(timezone.now())
    return acme


@pytest.fixture
def verify(capsys, monkeypatch, tmp_path):
    """Return a caller of ``audit verify`` without a server."""
    monkeypatch.setenv("EXECFABRIC_CONFIG", str(tmp_path / "none.json"))
    monkeypatch.setenv("EXECFABRIC_URL", "http://nowhere.invalid")

    def call(*words):
        code = 0
        try:
            main(["audit", "verify", *map(str, words), "--json"])
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        document = json.JSONDecoder().raw_decode(said.out)[0] if said.out.strip() else None
        return SimpleNamespace(code=code, document=document, said=said.err)

    return call
