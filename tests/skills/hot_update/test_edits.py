"""What a tenant's administrators edited in the browser, when a new version is submitted."""

from __future__ import annotations

import pytest

from governance.reviews.differences import changed_description, edits_met, live_version
from skills.catalogue.managing.services import bind_version, edit_skill
from skills.catalogue.models import Skill
from skills.hot_update.checks import Level, Subject
from skills.hot_update.checks.edits import check_edits
from skills.hot_update.reviewing.rules import manifest_of, rules_in_force
from tests.factories.revisions import make_revision
from tests.factories.skills import GREET, bundle_of, make_skill

from .conftest import approve, in_tenant, publish

SAME = GREET.replace("Hello", "Hi")
TEXTS = {"title": "Greet", "description": "Says hello.", "tags": ["hello"]}


@pytest.fixture
def skill(sam, acme_tenant, person):
    """greet, published once and edited since: title, tags, a help text, and a confirmation."""
    publish(sam.actor, make_revision(acme_tenant, **TEXTS))
    with in_tenant(acme_tenant):
        skill = Skill.objects.get()
        edit_skill(
            actor=person("olivia").actor,
            skill=skill,
            changes={
                "title": "Say hello",
                "tags": ["letters"],
                "confirm": True,
                "inputs": {"name": {"description": "Whom to greet."}, "times": {"examples": [3]}},
            },
            reason="Clearer.",
        )
    return skill


def used(acme_tenant):
    with in_tenant(acme_tenant):
        return Skill.objects.select_related("version__based_on").get().version


def test_edits_stay_where_the_submission_says_what_the_last_one_said(skill, sam, acme_tenant):
    steps = publish(sam.actor, make_revision(acme_tenant, SAME, **TEXTS))

    version = used(acme_tenant)
    assert (version.number, version.based_on.number) == (4, 3)
    assert (version.title, version.tags, version.confirm) == ("Say hello", ["letters"], True)
    assert version.input_fields["name"]["description"] == "Whom to greet."
    assert version.input_fields["times"]["examples"] == [3]
    assert version.note.startswith("Kept what was edited here: Title, Tags, Confirmation")
    assert "greet v4 is used in the place of greet v3" in steps["verify"].log
    with in_tenant(acme_tenant):
        assert version.script_version_id == version.based_on.script_version_id
        assert version.verifications.exists()


def test_what_the_submission_changes_replaces_the_edit(skill, sam, acme_tenant):
    publish(sam.actor, make_revision(acme_tenant, SAME, **{**TEXTS, "title": "Greet politely"}))

    version = used(acme_tenant)
    assert (version.title, version.tags) == ("Greet politely", ["letters"])


def test_edits_stay_through_one_update_after_another(skill, sam, acme_tenant):
    publish(sam.actor, make_revision(acme_tenant, SAME, **TEXTS))
    publish(sam.actor, make_revision(acme_tenant, GREET.replace("Hello", "Hey"), **TEXTS))

    assert used(acme_tenant).title == "Say hello"


def test_a_submission_that_takes_the_edits_over_needs_no_second_version(skill, sam, acme_tenant):
    taken = {"title": "Say hello", "description": "Says hello.", "tags": ["letters"]}
    revision = make_revision(acme_tenant, SAME, confirm=True, **taken)
    tables = revision.manifest
    tables["inputs"]["name"]["description"] = "Whom to greet."
    tables["inputs"]["times"]["examples"] = [3]
    revision.delete()
    revision = remade(revision, tables)
    publish(sam.actor, revision)

    assert used(acme_tenant).number == 3


def remade(revision, manifest):
    """A revision never changes, so this is another one with another manifest."""
    revision.pk, revision.manifest = None, manifest
    revision._state.adding = True
    revision.save(force_insert=True)
    return revision


def test_the_same_files_again_change_nothing(skill, sam, acme_tenant):
    before = used(acme_tenant)

    publish(sam.actor, make_revision(acme_tenant, **TEXTS))

    assert used(acme_tenant) == before


def test_examples_that_no_longer_fit_their_input_are_replaced(skill, sam, acme_tenant):
    text = SAME.replace("times: int = 1", 'times: str = "x"').replace(" * times", "")
    publish(sam.actor, make_revision(acme_tenant, text, **TEXTS))

    assert "examples" not in used(acme_tenant).input_fields["times"]


def test_an_edit_of_an_input_that_is_gone_goes_with_it(skill, sam, acme_tenant):
    without = SAME.replace(", times: int = 1", "").replace(" * times", "")
    publish(sam.actor, make_revision(acme_tenant, without, **TEXTS))

    version = used(acme_tenant)
    assert version.title == "Say hello"
    assert list(version.input_fields) == ["name"]


def test_the_version_as_it_was_submitted_can_be_put_in_use(skill, sam, acme_tenant, person):
    publish(sam.actor, make_revision(acme_tenant, SAME, **TEXTS))

    with in_tenant(acme_tenant):
        skill = Skill.objects.get()
        bind_version(
            actor=person("olivia").actor,
            skill=skill,
            version=skill.versions.get(number=3),
            reason="The new words are better.",
        )
    assert used(acme_tenant).title == "Greet"


def test_a_version_that_waits_beside_a_kept_one_has_the_edits(skill, sam, acme_tenant):
    with in_tenant(acme_tenant):
        Skill.objects.update(is_pinned=True)

    publish(sam.actor, make_revision(acme_tenant, SAME, **TEXTS))

    assert used(acme_tenant).number == 2
    with in_tenant(acme_tenant):
        waiting = Skill.objects.get().versions.get(number=4)
        assert (waiting.title, waiting.verifications.exists()) == ("Say hello", True)


def test_the_reviewer_sees_what_stays_and_what_is_replaced(skill, sam, acme_tenant):
    revision = make_revision(acme_tenant, SAME, **{**TEXTS, "title": "Greet politely"})

    rules, live = rules_in_force(revision), live_version(revision)
    edits = {edit.name: edit for edit in edits_met(live, revision, rules)}
    change = changed_description(live, revision, rules, list(edits.values()))
    page = sam.browser.get(f"/platform/reviews/{revision.submission_id}/").content.decode()

    assert {name: edit.is_kept for name, edit in edits.items()} == {
        "title": False,
        "tags": True,
        "confirm": True,
        "inputs.name.description": True,
        "inputs.times.examples": True,
    }
    assert [line for line in change.lines if line[0] in "+-"] == [
        ("-", "title = 'Say hello'"),
        ("+", "title = 'Greet politely'"),
    ]
    assert "Edited by the tenant since it came" in page
    assert "Is replaced" in page
    assert "Whom to greet." in page


def test_the_report_of_the_checks_warns_by_name(skill, sam, acme_tenant, tmp_path):
    revision = make_revision(acme_tenant, SAME, **{**TEXTS, "title": "Greet politely"})
    subject = Subject(bundle_of({"main.py": SAME}), tmp_path, "", manifest_of(revision))

    with in_tenant(acme_tenant):
        finding = check_edits(subject)

    assert finding.level == Level.WARN
    said = 'Title was edited in the browser to "Say hello"; this makes it "Greet politely".'
    assert said in finding.details
    assert 'name: Help was edited in the browser and stays "Whom to greet.".' in finding.details


def test_the_report_passes_where_nothing_was_edited(sam, acme_tenant, tmp_path):
    with in_tenant(acme_tenant):
        make_skill()
        revision = make_revision(acme_tenant, SAME)
        subject = Subject(bundle_of({"main.py": SAME}), tmp_path, "", manifest_of(revision))
        assert check_edits(subject).level == Level.PASS


def test_a_script_onboarded_by_command_keeps_edits_too(acme, person):
    make_skill(manifest='title = "Greet"')
    edit_skill(
        actor=person("olivia").actor,
        skill=Skill.objects.get(),
        changes={"title": "Say hello"},
        reason="Clearer.",
    )

    make_skill(code=SAME, manifest='title = "Greet"')

    assert Skill.objects.get().version.title == "Say hello"


def test_an_edit_between_approval_and_publication_stays(skill, sam, acme_tenant, person):
    from skills.hot_update.publishing.carrying_out import publish_revision

    revision = make_revision(acme_tenant, SAME, **TEXTS)
    approve(sam.actor, revision)
    with in_tenant(acme_tenant):
        edit_skill(
            actor=person("olivia").actor,
            skill=Skill.objects.get(),
            changes={"description": "Greets somebody."},
            reason="Clearer.",
        )
    publish_revision(revision.pk)

    assert used(acme_tenant).description == "Greets somebody."
