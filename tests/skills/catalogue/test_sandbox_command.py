"""``manage.py sandbox check``."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from execfabric.settings.environment import Environment
from executors.script import memory_group
from executors.script.levels import LEVELS
from executors.script.sandbox.level import NamespaceLevel
from executors.script.sandbox.probe import Layer

FOUND = [
    Layer("Landlock", True, "version 7"),
    Layer("A user id for each run", False, "not root", "Be root.", needed=False),
]


@pytest.fixture
def layers(monkeypatch: pytest.MonkeyPatch) -> list[Layer]:
    found = list(FOUND)
    monkeypatch.setattr(NamespaceLevel, "layers", lambda _self: found)
    monkeypatch.setattr(
        memory_group, "layer", lambda: Layer("Memory group", True, "cgroup v2", needed=False)
    )
    return found


def check() -> str:
    out = StringIO()
    call_command("sandbox", "check", "--level", "ns", stdout=out)
    return out.getvalue()


def test_it_says_layer_by_layer_what_there_is(layers: list[Layer]) -> None:
    assert check().splitlines() == [
        "yes  Landlock                version 7",
        "no   A user id for each run  not root",
        "     Be root.",
        "yes  Memory group            cgroup v2",
        "This machine gives the isolation 'ns'.",
    ]


def test_it_fails_when_a_needed_layer_is_missing(layers: list[Layer]) -> None:
    layers.append(Layer("seccomp", False, "not there", "Take another kernel."))
    out = StringIO()

    with pytest.raises(CommandError, match="does not give the isolation 'ns'"):
        call_command("sandbox", "check", "--level", "ns", stdout=out)

    assert "NO   seccomp                 not there\n     Take another kernel.\n" in out.getvalue()


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_every_level_can_be_set(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECFABRIC_SANDBOX", level)

    assert Environment().sandbox == level


def test_the_default_is_the_level_with_namespaces() -> None:
    assert Environment.model_fields["sandbox"].default == "ns"
