"""Other texts and stricter rules, without review; everything else goes there."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.models import AuditEvent
from skills.catalogue.managing import services
from skills.catalogue.managing.editing import edited
from skills.catalogue.models import Maintainer, SkillVersion
from skills.catalogue.services import onboard_script
from tests.factories.skills import GREET, bundle_of, make_skill

from .managed import in_use, two_versions

pytestmark = pytest.mark.usefixtures("acme")
WHY = "Clearer words."


@pytest.fixture
def olivia(person):
    return person("olivia").actor


@pytest.fixture
def skill():
    return two_versions()


def edit(skill, olivia, **changes) -> SkillVersion:
    return services.edit_skill(actor=olivia, skill=skill, changes=changes, reason=WHY)


def test_other_texts_are_a_new_version_on_the_same_script_in_use_at_once(skill, olivia):
    before = skill.version

    made = edit(
        skill,
        olivia,
        title="Say hello",
        description="Greets somebody.\nPolitely.",
        tags=["hello", "letters", "hello", ""],
        examples=["Greet Ada."],
        inputs={"name": {"title": "Who", "description": "Whom to greet.", "examples": ["Ada"]}},
    )

    field = made.input_fields["name"]
    assert (made.number, in_use(skill), made.based_on) == (3, 3, before)
    assert made.script_version == before.script_version
    assert (made.title, made.tags, made.examples) == (
        "Say hello",
        ["hello", "letters"],
        ["Greet Ada."],
    )
    assert (field["title"], field["description"], field["examples"]) == (
        "Who",
        "Whom to greet.",
        ["Ada"],
    )
    assert (made.author, made.note) == ("olivia", WHY)
    assert SkillVersion.objects.get(pk=before.pk).title == "Greet"
    assert AuditEvent.objects.get(code="catalogue.skill.edit").details["reason"] == WHY


@pytest.mark.parametrize(
    ("rule", "value"),
    [("confirm", True), ("approval", "four_eyes"), ("ai_callable", False), ("manual", False)],
)
def test_a_rule_can_be_made_stricter_at_once_and_not_looser_again(skill, olivia, rule, value):
    loose = getattr(skill.version, rule)

    made = edit(skill, olivia, **{rule: value})

    assert getattr(made, rule) == value
    skill.refresh_from_db()
    with pytest.raises(InvalidInput) as refusal:
        edit(skill, olivia, **{rule: loose})
    assert "goes to review" in refusal.value.fields[rule]
    assert in_use(skill) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"risk": "low"},
        {"network": True},
        {"network_hosts": []},
        {"timeout_s": 5},
        {"memory_bytes": 1},
        {"concurrency": 1},
        {"queue": "other"},
        {"script_version_id": 1},
        {"readme": "Mine."},
        {"input_schema": {}},
        {"skill_id": 7},
        {"inputs": {"name": {"type": "integer"}}},
        {"inputs": {"name": {"default": "Ada"}}},
        {"inputs": {"other": {"title": "New"}}},
    ],
)
def test_what_changes_the_risk_goes_to_review(skill, olivia, changes):
    with pytest.raises(InvalidInput) as refusal:
        edit(skill, olivia, **changes)

    assert all("review" in text for text in refusal.value.fields.values())
    assert in_use(skill) == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 121}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"title": 7}, "title"),
        ({"description": "x" * 2001}, "description"),
        ({"tags": "hello"}, "tags"),
        ({"tags": ["x" * 41]}, "tags"),
        ({"tags": ["a"] * 21}, "tags"),
        ({"examples": [{"a": 1}]}, "examples"),
        ({"inputs": "name"}, "inputs"),
        ({"inputs": {"times": {"examples": ["many"]}}}, "inputs.times.examples"),
        ({"inputs": {"name": {"examples": ["a\0b"]}}}, "inputs.name.examples"),
        ({"inputs": {"name": {"title": "x" * 201}}}, "inputs.name.title"),
    ],
)
def test_a_text_that_cannot_be_stored_is_named(skill, olivia, changes, field):
    with pytest.raises(InvalidInput) as refusal:
        edit(skill, olivia, **changes)

    assert field in refusal.value.fields


def test_everything_but_what_was_named_stays(skill):
    made = edited(skill.version, {"title": "Other"})

    own = {"id", "number", "based_on", "author", "note", "created_at", "title"}
    for field in SkillVersion._meta.concrete_fields:
        if field.name not in own:
            assert getattr(made, field.attname) == getattr(skill.version, field.attname), field


def test_nothing_changed_makes_no_version(skill, olivia):
    with pytest.raises(Conflict, match="Nothing"):
        edit(skill, olivia, title="Greet", tags=["hello"])

    assert skill.versions.count() == 2


def test_of_two_who_edit_at_once_the_second_is_told(skill, olivia):
    services.edit_skill(
        actor=olivia, skill=skill, changes={"title": "First"}, reason=WHY, expected=2
    )

    with pytest.raises(services.ChangedMeanwhile):
        services.edit_skill(
            actor=olivia, skill=skill, changes={"title": "Second"}, reason=WHY, expected=2
        )

    skill.refresh_from_db()
    assert skill.version.title == "First"


def test_high_risk_still_asks_for_a_confirmation(olivia):
    skill = make_skill("danger", manifest='risk = "high"')

    with pytest.raises(InvalidInput):
        edit(skill, olivia, confirm=False)
    assert edit(skill, olivia, title="Dangerous").confirm


class TestPublic:
    """Scripts the platform maintains (``public/``)."""

    @pytest.fixture
    def public(self):
        make_public("greet")
        return make_public("greet", GREET.replace("Hello", "Hi"))

    def test_there_is_no_page_to_edit_it(self, public, person):
        answer = person("olivia").browser.get("/skills/greet/edit/")

        assert answer.status_code == 403
        assert "maintained by the platform" in answer.text

    def test_it_can_be_rolled_back_disabled_and_granted_but_not_edited(self, public, olivia):
        with pytest.raises(NotPermitted, match="maintained by the platform"):
            edit(public, olivia, title="Mine")

        services.roll_back(actor=olivia, skill=public, reason=WHY)
        services.disable_skill(actor=olivia, skill=public, reason=WHY)
        services.enable_skill(actor=olivia, skill=public, reason=WHY)
        services.change_grants(actor=olivia, skill=public, reason=WHY)
        assert in_use(public) == 1

    def test_a_tenants_script_does_not_take_its_place(self, public):
        with pytest.raises(InvalidInput, match="only the platform"):
            make_skill("greet", "def main():\n    return 1\n")

        assert public.versions.count() == 2

    def test_the_platform_takes_no_name_of_a_tenant(self):
        make_skill("greet")

        with pytest.raises(InvalidInput, match="does not replace"):
            make_public("greet")

    def test_nobody_changes_whose_it_is(self, public):
        with pytest.raises(DatabaseError), transaction.atomic():
            public.maintainer = Maintainer.TENANT
            public.save()


def make_public(name: str, code: str = GREET):
    return onboard_script(
        actor=Actor.system("tests", door=Door.COMMAND),
        bundle=bundle_of({"main.py": code}),
        name=name,
        maintainer=Maintainer.PLATFORM,
    ).skill
