"""Which runs have a sandbox one after another: what let them start was the same decision."""

from __future__ import annotations

import pytest

from execfabric.core.actor import Door
from executors.script.warm import series
from skills.executions import running, services
from skills.executions.models import Execution
from skills.executions.states import Status
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
PLACE = """
import os


def main() -> str:
    made = os.stat("/etc/passwd").st_mtime_ns  # The kernel gives numbers of namespaces again.
    return f"{os.readlink('/proc/self/ns/pid')} {made}"
"""


@pytest.fixture(autouse=True)
def _long_pauses_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "IDLE_S", 60.0)


@pytest.fixture
def place(person):
    """Run a skill to its end as the person named, and return where it ran."""

    def run(skill, name="oscar", *, door=Door.API, confirm=False, request_id=""):
        actor = person(name).actor
        execution = services.request_execution(actor=actor, skill=skill, inputs={})
        if confirm:
            assert execution.status == Status.AWAITING_CONFIRMATION
            services.confirm_execution(actor=actor, execution=execution)
        Execution.objects.filter(pk=execution.pk).update(door=door, request_id=request_id)
        running.run_execution(str(execution.pk))
        execution.refresh_from_db()
        assert execution.status == Status.SUCCEEDED, execution.error
        return execution.output

    return run


def test_runs_of_one_person_and_version_share_one_from_the_second_on(place):
    skill = make_skill(code=PLACE)
    first, second, third = (place(skill) for _ in range(3))

    assert first != second == third


def test_those_of_somebody_else_or_of_another_skill_have_their_own(place):
    skill, other = make_skill(code=PLACE), make_skill("other", code=PLACE)
    ours = {place(skill) for _ in range(3)}
    theirs = {place(skill, "olivia") for _ in range(3)}
    others = {place(other) for _ in range(3)}

    assert len(ours | theirs | others) == 6


def test_each_run_that_somebody_confirmed_has_its_own(place):
    skill = make_skill(code=PLACE, manifest='risk = "high"')

    assert len({place(skill, confirm=True) for _ in range(3)}) == 3


def test_rows_share_one_from_the_first_on(place):
    skill = make_skill(code=PLACE)

    assert len({place(skill, door=Door.BATCH) for _ in range(3)}) == 1


def test_batches_that_were_confirmed_have_their_own(place):
    """Whoever lets a batch run has not seen what rows of another one leave."""
    skill = make_skill(code=PLACE, manifest='risk = "high"')
    rows = {"door": Door.BATCH, "confirm": True}
    first, other = ({place(skill, **rows, request_id=name) for _ in range(3)} for name in "ab")

    assert (len(first), len(other), len(first | other)) == (1, 1, 2)
