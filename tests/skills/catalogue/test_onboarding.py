"""From a folder to a skill: store, register, bind, authorise."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import InvalidInput, NotPermitted
from execfabric.core.models import AuditEvent
from skills.catalogue.models import Script, ScriptVersion, Skill, SkillVersion
from skills.catalogue.selectors import search_skills, skills_visible_to
from skills.catalogue.services import onboard_script
from tests.factories.skills import GREET, bundle_of, make_skill

HEAD = "[skill]\nname='x'\nruntime='python'\n"
pytestmark = pytest.mark.usefixtures("acme")


def onboard(**files):
    actor = Actor.system("tests", door=Door.COMMAND)
    return onboard_script(actor=actor, bundle=bundle_of(files), name="greet")


def test_a_folder_without_manifest_becomes_a_skill_from_its_signature():
    version = onboard(**{"main.py": GREET})

    assert version.title == "Greet"
    assert version.input_fields["times"]["type"] == "integer"
    assert version.script_version.digest == bundle_of({"main.py": GREET}).digest
    assert Skill.objects.get().version == version


def test_the_same_bundle_again_changes_nothing():
    first = onboard(**{"main.py": GREET})

    assert onboard(**{"main.py": GREET}) == first
    assert (ScriptVersion.objects.count(), SkillVersion.objects.count()) == (1, 1)


def test_another_bundle_is_the_next_version_and_bound_at_once():
    onboard(**{"main.py": GREET})

    second = onboard(**{"main.py": GREET.replace("Hello", "Hi")})

    assert (second.number, second.script_version.number) == (2, 2)
    assert Skill.objects.get().version == second
    assert Script.objects.count() == 1


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"main.py": "def main(:\n"}, "Python"),
        ({"main.py": GREET, "skill.toml": "[skill\n"}, "skill.toml"),
        ({"main.py": GREET, "skill.toml": f"{HEAD}rsik='low'\n"}, "rsik"),
        ({"main.py": GREET, "requirements.txt": "../evil\n"}, "requirements"),
        ({"main.py": GREET, "requirements.txt": "https://example.org/x.whl\n"}, "requirements"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason_and_nothing_is_registered(files, why):
    with pytest.raises(InvalidInput, match=why):
        onboard(**files)

    assert not Skill.objects.exists()
    assert AuditEvent.objects.get(code="catalogue.script.onboard").outcome == "refused"


@pytest.mark.parametrize("model", [ScriptVersion, SkillVersion])
def test_a_version_cannot_be_changed(model):
    onboard(**{"main.py": GREET})

    with pytest.raises(DatabaseError), transaction.atomic():
        model.objects.update(created_at=None)


def test_it_is_visible_to_every_role_of_the_owner_and_to_no_other_tenant(person, globex, acme):
    with schema_context(acme.schema_name):
        skill = make_skill()
        for username in ("olivia", "dana", "oscar", "anna", "victor"):
            assert skill in skills_visible_to(person_in(acme, person, username).actor)
    with schema_context(globex.schema_name):
        assert not Skill.objects.exists()


def person_in(tenant, person, username):
    from django.db import connection

    connection.set_tenant(tenant)
    return person(username)


def test_search_finds_every_word_in_name_text_or_tags(person):
    make_skill("sales-report", manifest='title = "Sales report"\ntags = ["finance", "chart"]')
    make_skill("greet")
    seen = skills_visible_to(person("oscar").actor)

    assert [skill.name for skill in search_skills(seen, text="SALES finance")] == ["sales-report"]
    assert [skill.name for skill in search_skills(seen, tag="chart")] == ["sales-report"]
    assert not search_skills(seen, text="nothing")


def test_the_command_onboards_into_the_named_tenant(acme, tmp_path, capsys):
    (tmp_path / "main.py").write_text(GREET)
    (tmp_path / "README.md").write_text("# Greet\n\nHello.\n")

    call_command("onboard_script", "acme", str(tmp_path), name="hello")

    assert "hello v1 is ready in acme" in capsys.readouterr().out
    assert Skill.objects.filter(name="hello").exists()


def test_the_command_registers_what_the_platform_maintains(acme, tmp_path, capsys):
    (tmp_path / "main.py").write_text(GREET)
    (tmp_path / "README.md").write_text("# Greet\n\nHello.\n")

    call_command("onboard_script", "acme", str(tmp_path), name="hello", public=True)
    with pytest.raises(CommandError, match="only the platform changes it"):
        call_command("onboard_script", "acme", str(tmp_path), name="hello")

    assert Skill.objects.get(name="hello").is_public


@pytest.mark.parametrize("name", ["Greet Me", "übung", "-x", "UPPER", "a/b", "x" * 61, "a--b"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(name):
    actor = Actor.system("tests", door=Door.COMMAND)

    with pytest.raises(InvalidInput, match="a-z"):
        onboard_script(actor=actor, bundle=bundle_of({"main.py": GREET}), name=name)

    assert not Skill.objects.exists()


def test_the_database_refuses_such_a_name_too():
    with pytest.raises(DatabaseError), transaction.atomic():
        Skill.objects.create(name="Greet Me")


def test_the_command_names_the_tenants_it_knows(platform, tmp_path):
    with pytest.raises(CommandError, match="globex"):
        call_command("onboard_script", "nobody", str(tmp_path))


def test_who_may_not_onboard_is_refused_before_anything_is_stored(person, settings):
    bundle = bundle_of({"main.py": GREET, "note.txt": "never stored"})

    with pytest.raises(NotPermitted):
        onboard_script(actor=person("olivia").actor, bundle=bundle)

    assert not list((settings.DATA_DIR / "storage").rglob(f"{bundle.digest}*"))
    assert AuditEvent.objects.get(code="catalogue.script.onboard").outcome == "refused"


def test_the_workspace_is_closed_to_runs_of_other_users(settings):
    onboard(**{"main.py": GREET})

    assert (settings.DATA_DIR / "workspace").stat().st_mode & 0o077 == 0
