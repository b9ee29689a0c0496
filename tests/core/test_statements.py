"""Rows of our own making are those that Django makes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection, models

from execfabric.core.actor import Door
from execfabric.core.models import AuditEvent, Outcome
from execfabric.core.statements import insert_of, new_row, stored_row
from skills.catalogue.models import Skill
from skills.executions.models import Execution
from skills.executions.states import Status
from tenants.accounts.models import Account, ApiToken
from tests.factories.skills import make_skill

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def contents(row):
    """Return what a row holds, but for what is another for each new one."""
    return {
        name: value
        for name, value in row.__dict__.items()
        if name not in {"_state", "id"} and not (isinstance(value, datetime) and value != NOON)
    }


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (AuditEvent, {"code": "a.b.c", "outcome": Outcome.DONE, "actor_id": 7}),
        (Execution, {"status": Status.QUEUED, "door": Door.API, "skill_id": 3, "sent_at": NOON}),
        (ApiToken, {"digest": "x", "user_id": 3}),
    ],
)
def test_a_new_row_is_as_its_model_makes_it(model, given):
    ours, theirs = new_row(model, **given), model(**given)

    assert contents(ours) == contents(theirs)
    assert ours.__dict__.keys() == theirs.__dict__.keys()
    assert ours._state.adding


def test_a_related_row_is_known_and_so_is_its_id(acme):
    skill = make_skill()

    execution = new_row(Execution, skill=skill)

    assert execution.skill is skill
    assert execution.skill_id == skill.pk


def test_rows_share_no_default_that_can_be_changed():
    one, other = new_row(AuditEvent), new_row(AuditEvent)

    one.details["only"] = "here"

    assert other.details == {}
    assert one.id != other.id


def test_a_column_that_there_is_not_is_an_error():
    with pytest.raises(TypeError, match="nonsense"):
        new_row(AuditEvent, nonsense=1)


@pytest.mark.parametrize("model", [Execution, Skill, Account])
def test_a_stored_row_is_as_its_model_reads_it(acme, model):
    names = [field.attname for field in model._meta.concrete_fields]
    for some in (names, names[:2]):
        values = [str(number) for number in range(len(some))]

        ours, theirs = stored_row(model, some, values), model.from_db("default", some, values)

        assert contents(ours) == contents(theirs)
        assert (ours._state.adding, ours._state.db) == (False, "default")
        assert ours.get_deferred_fields() == theirs.get_deferred_fields()


def test_a_model_whose_columns_are_more_than_values_is_refused():
    class Pictured(models.Model):
        picture = models.FileField()

        class Meta:
            app_label = "tests"

        def __str__(self):
            return self.picture.name

    for make in (lambda: new_row(Pictured), lambda: stored_row(Pictured, ["picture"], ["x"])):
        with pytest.raises(TypeError, match="picture"):
            make()


def test_what_is_sent_is_what_django_would_send(acme):
    execution = new_row(
        Execution,
        status=Status.QUEUED,
        door=Door.API,
        created_at=NOON,
        sent_at=None,
        inputs={"b": 1, "a": [None]},
        output=None,
        progress_fraction=0.5,
        exit_code=3,
        skill_id=1,
    )

    _, values = insert_of(execution)

    fields = [field for field in Execution._meta.concrete_fields if not field.generated]
    theirs = [
        field.get_db_prep_save(field.pre_save(execution, add=True), connection=connection)
        for field in fields
    ]
    assert len(values) == len(theirs)
    for field, ours, wanted in zip(fields, values, theirs, strict=True):
        if isinstance(field, models.JSONField) and wanted is not None:
            ours, wanted = ours.obj, wanted.obj
        assert ours == wanted, field.name


def test_the_moment_a_row_is_written_is_filled_in(acme):
    event = new_row(AuditEvent, code="a.b.c")

    insert_of(event)

    assert event.at is not None
