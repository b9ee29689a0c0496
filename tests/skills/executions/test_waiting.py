"""What who waits is told, is what the database holds by then."""

from __future__ import annotations

import pytest

from skills.executions import running
from skills.executions.models import Execution
from skills.executions.selectors import bring_up_to_date
from skills.executions.states import FINAL
from tests.factories.skills import make_skill


@pytest.fixture
def asked(acme, person):
    """An execution as it is known right after it was asked for."""
    make_skill()
    answer = person("oscar").api.post("/api/v1/executions", {"skill": "greet"}, format="json")
    return Execution.objects.get(pk=answer.json()["id"])


def everything(execution):
    return {
        field.attname: getattr(execution, field.attname)
        for field in Execution._meta.concrete_fields
    }


def test_an_execution_brought_up_to_date_is_as_one_read_anew(asked):
    running.run_execution(str(asked.pk))
    Execution.objects.filter(pk=asked.pk).update(skipped_artifacts=["too-large.bin"])

    assert bring_up_to_date(asked, in_one_of=FINAL)

    assert everything(asked) == everything(Execution.objects.get(pk=asked.pk))
    assert asked.skipped_artifacts == ["too-large.bin"]


def test_an_execution_in_another_state_is_left_as_it_is(asked):
    before = everything(asked)
    Execution.objects.filter(pk=asked.pk).update(summary="new")

    assert not bring_up_to_date(asked, in_one_of=FINAL)

    assert everything(asked) == before
