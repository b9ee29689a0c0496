"""What two versions of a skill have not in common, and who sees how much of it."""

from __future__ import annotations

import pytest

from execfabric.core.actor import Actor, Door
from executors.script.bundle import Bundle, BundleFile
from executors.script.differences import MOST_BYTES
from skills.catalogue.differences import LABELS, compare, compare_files
from skills.catalogue.managing import selectors
from skills.catalogue.managing.editing import OWN_OF_EACH
from skills.catalogue.models import Maintainer, Skill, SkillVersion
from skills.catalogue.services import onboard_script
from tests.factories.skills import GREET, bundle_of, make_skill
from tests.factories.wheels import make_wheel

from .managed import HI, INPUTS, TITLED, two_versions, version


def bundle(**files: bytes) -> Bundle:
    return Bundle(tuple(BundleFile(path, False, content) for path, content in files.items()))


def test_all_that_a_version_says_is_compared():
    said = {field.name for field in SkillVersion._meta.concrete_fields}
    in_other_ways = {"skill", "kind", "resource", "script_version", "input_schema", "output_schema"}

    assert said - OWN_OF_EACH - in_other_ways == set(LABELS)


def test_files_differ_by_line():
    changes = compare_files(
        bundle(a=b"one\ntwo\n", b=b"same", c=b"old\n"), bundle(a=b"one\n2\n", b=b"same", d=b"new\n")
    )

    assert [(change.path, change.what) for change in changes] == [
        ("a", "changed"),
        ("c", "removed"),
        ("d", "added"),
    ]
    assert "-two\n+2" in changes[0].diff
    assert changes[2].diff.startswith("--- /dev/null\n+++ b/d")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"a\0b", b"x" * (MOST_BYTES + 1), b"line\n" * (MOST_BYTES // 5 + 1)]
)
def test_what_is_no_text_or_too_large_is_named_only(content):
    (change,) = compare_files(bundle(a=b"one\n"), bundle(a=content))

    assert (change.what, change.diff) == ("changed", "")
    assert change.note


def test_many_changes_are_cut_short_and_every_file_is_named():
    old = bundle(**{f"f{number}": b"a\n" * 3000 for number in range(4)})
    new = bundle(**{f"f{number}": b"b\n" * 3000 for number in range(4)})

    changes = compare_files(old, new)

    assert len(changes) == 4
    assert all(change.note for change in changes)
    assert sum(change.diff.count("\n") for change in changes) < 6_000


def test_the_executable_bit_is_a_change_of_its_own():
    old, new = (Bundle((BundleFile("run.sh", bit, b"x"),)) for bit in (False, True))

    (change,) = compare_files(old, new)

    assert change.what == "mode"


@pytest.mark.usefixtures("acme")
class TestVersions:
    def test_description_rules_and_inputs_are_named(self):
        make_skill("greet", manifest=TITLED, inputs=INPUTS)
        other = INPUTS.replace("default = 1", "default = 1\nmaximum = 5").replace("name", "who")
        make_skill("greet", manifest='title = "Greet"\nrisk = "medium"', inputs=other)
        skill = Skill.objects.get()

        change = compare(version(skill, 1), version(skill, 2))

        assert {field.name for field in change.rules} == {"risk", "ai_callable"}
        assert [(one.name, one.what) for one in change.inputs] == [
            ("name", "removed"),
            ("times", "changed"),
            ("who", "added"),
        ]
        (word,) = change.inputs[1].fields
        assert (word.name, word.old, word.new, word.is_rule) == ("maximum", None, 5, True)
        assert [str(one) for one in change.summary][:2] == ["Code", "Inputs"]

    def test_an_input_that_is_needed_now_is_a_change(self):
        make_skill("greet", manifest=TITLED, inputs=INPUTS)
        make_skill(
            "greet", manifest=TITLED, inputs=INPUTS.replace("default = 1", "optional = true")
        )
        skill = Skill.objects.get()

        change = compare(version(skill, 1), version(skill, 2))

        assert [one.name for one in change.inputs] == ["times"]

    def test_packages_differ_by_version(self, wheels):
        make_skill("greet", **{"requirements.txt": "greeting==1.0\n"})
        make_wheel(wheels, "greeting", version="2.0", code="WORD = 'hi'\n")
        make_skill("greet", **{"requirements.txt": "greeting==2.0\n"})
        skill = Skill.objects.get()

        change = compare(version(skill, 1), version(skill, 2))

        assert [(one.name, one.old, one.new) for one in change.packages] == [
            ("greeting", "1.0", "2.0")
        ]

    @pytest.mark.parametrize("who", ["olivia", "dana"])
    def test_managers_and_developers_see_the_code_of_their_own_scripts(self, person, who):
        skill = two_versions()

        change = selectors.difference(
            person(who).actor, version(skill, 1), version(skill, 2), skill
        )

        assert change.files is not None
        assert "+    return" in change.files[0].diff

    def test_nobody_of_a_tenant_sees_code_of_the_platform(self, person):
        for code in (GREET, HI):
            onboard_script(
                actor=Actor.system("tests", door=Door.COMMAND),
                bundle=bundle_of({"main.py": code}),
                name="greet",
                maintainer=Maintainer.PLATFORM,
            )
        skill = Skill.objects.get()

        change = selectors.difference(
            person("olivia").actor, version(skill, 1), version(skill, 2), skill
        )

        assert change.code_differs
        assert change.files is None

    def test_users_see_no_versions_at_all(self, person):
        two_versions()

        for who in ("oscar", "anna", "victor"):
            assert not selectors.skills_with_history(person(who).actor).exists()
