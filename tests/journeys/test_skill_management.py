"""What an administrator does with a skill on its pages, and what everybody else is kept from."""

from __future__ import annotations

import html
import re

import pytest

from execfabric.core.models import AuditEvent
from skills.catalogue.models import Skill, SkillGrant
from tenants.accounts.groups.services import create_group
from tests.factories.skills import GREET, make_skill
from tests.skills.catalogue.managed import INPUTS, TITLED, in_use, two_versions

pytestmark = pytest.mark.usefixtures("acme")
PAGES = ["versions", "changes", "source", "edit", "grants"]
ACTS = ["bind", "rollback", "enable", "disable"]


@pytest.fixture
def skill():
    return two_versions()


@pytest.fixture
def olivia(person, skill):
    return person("olivia").browser


def text_of(response) -> str:
    return html.unescape(response.content.decode())


def form_of(page: str) -> dict[str, str]:
    """Return the values of the inputs and textareas of a page's form."""
    fields = {}
    for tag in re.findall(r"<input\b[^>]*>", page):
        name, value = (re.search(rf'\b{word}="([^"]*)"', tag) for word in ("name", "value"))
        if name and value and 'type="checkbox"' not in tag:
            fields[name[1]] = value[1]
    texts = re.findall(r'<textarea name="([^"]+)"[^>]*>\n?([^<]*)</textarea>', page)
    return fields | dict(texts)


@pytest.mark.parametrize("who", ["oscar", "anna", "victor"])
def test_for_users_none_of_it_is_there(skill, person, who):
    browser = person(who).browser

    pages = {page: browser.get(f"/skills/greet/{page}/").status_code for page in PAGES}
    acts = {act: browser.post(f"/skills/greet/{act}/").status_code for act in ACTS}
    api = person(who).api.get("/api/v1/skills/greet/versions").status_code

    assert set(pages.values()) == set(acts.values()) == {404}
    assert api == 404
    assert "/skills/greet/versions/" not in text_of(browser.get("/skills/greet/"))


def test_developers_read_versions_and_code_and_change_nothing(skill, person):
    dana = person("dana")

    statuses = {page: dana.browser.get(f"/skills/greet/{page}/").status_code for page in PAGES}
    page = text_of(dana.browser.get("/skills/greet/versions/"))
    refused = dana.api.post("/api/v1/skills/greet/rollback", {"reason": "No."}, format="json")

    assert [page for page, status in statuses.items() if status == 200] == [
        "versions",
        "changes",
        "source",
    ]
    assert "Use this version" not in page
    assert refused.status_code == 403
    assert in_use(skill) == 2


def test_the_history_says_who_when_and_what_and_compares_any_two(skill, olivia):
    history = text_of(olivia.get("/skills/greet/versions/"))
    changes = text_of(olivia.get("/skills/greet/changes/?old=1&new=2"))
    source = text_of(olivia.get("/skills/greet/source/?version=1"))

    assert "Version 2" in history
    assert '<span title="system:tests">the platform</span>' in history
    assert "In use" in history
    assert "Code" in history
    assert '-    return {"greeting": f"Hello' in changes
    assert '+    return {"greeting": f"Hi' in changes
    assert 'f"Hello, {name}!"' in source


def test_the_version_in_use_is_kept_and_let_go_by_one_button(skill, olivia):
    act = "/skills/greet/bind/"
    free = text_of(olivia.get("/skills/greet/versions/"))
    keep = re.search(r"Keep in use</summary>(.*?)</form>", free, re.DOTALL)
    olivia.post(act, {**form_of(keep[1]), "reason": "It is the good one."})
    skill.refresh_from_db()
    assert skill.is_pinned

    kept = text_of(olivia.get("/skills/greet/versions/"))
    let_go = re.search(r"Keep it no longer</summary>(.*?)</form>", kept, re.DOTALL)
    olivia.post(act, {**form_of(let_go[1]), "reason": "Newer ones are good, too."})
    skill.refresh_from_db()
    assert not skill.is_pinned
    assert in_use(skill) == 2


def test_the_history_costs_the_same_however_long_it_is(olivia, django_assert_max_num_queries):
    for number in range(5):
        make_skill("greet", f"{GREET}\n# {number}\n")

    with django_assert_max_num_queries(16):
        olivia.get("/skills/greet/versions/")


@pytest.mark.parametrize(
    "address",
    [
        "changes/?old=9",
        "changes/?old=x",
        "changes/?new=99999999999999999999",
        "source/?version=0",
        "source/?file=../../etc/passwd",
        "source/?file=nothing.py",
    ],
)
def test_what_is_not_there_is_404(olivia, address):
    assert olivia.get(f"/skills/greet/{address}").status_code == 404


def test_an_odd_page_of_the_history_is_its_first(olivia):
    assert "Version 2" in text_of(olivia.get("/skills/greet/versions/?before=x"))


def test_rolling_back_from_the_page(skill, olivia):
    page = text_of(olivia.get("/skills/greet/versions/"))
    assert "Roll back to version 1" in page

    answer = olivia.post(
        "/skills/greet/rollback/", {"expected": "2", "reason": "Wrong greeting."}, follow=True
    )

    assert in_use(skill) == 1
    assert "Wrong greeting." in text_of(answer)
    assert "Verified" in text_of(answer)


def test_a_rollback_without_a_reason_goes_back_with_a_message(skill, olivia):
    answer = olivia.post(
        "/skills/greet/rollback/",
        {"expected": "2", "reason": ""},
        headers={"referer": "http://acme.localhost/skills/greet/versions/"},
        follow=True,
    )

    assert "reason" in text_of(answer)
    assert in_use(skill) == 2


def test_disabling_and_enabling_from_the_page(skill, olivia, person):
    olivia.post("/skills/greet/disable/", {"reason": "It greets rudely."})
    shown = text_of(olivia.get("/skills/greet/versions/"))
    listed = text_of(olivia.get("/skills/"))

    assert "It greets rudely." in shown
    assert "It greets rudely." in listed
    assert olivia.get("/skills/greet/").status_code == 404
    assert "It greets rudely." not in text_of(person("oscar").browser.get("/skills/"))

    olivia.post("/skills/greet/enable/", {"reason": "Mended."})
    assert olivia.get("/skills/greet/").status_code == 200


def test_editing_makes_a_version_and_shows_at_once(skill, olivia):
    form = form_of(text_of(olivia.get("/skills/greet/edit/")))
    form |= {
        "title": "Say hello",
        "tags": "hello\nletters",
        "input-name-title": "Whom to greet",
        "input-times-examples": "1\n3",
        "confirm": "on",
        "reason": "Clearer words.",
    }

    answer = olivia.post("/skills/greet/edit/", form, follow=True)

    skill.refresh_from_db()
    version = skill.version
    assert (version.number, version.title, version.confirm) == (3, "Say hello", True)
    assert version.tags == ["hello", "letters"]
    assert version.input_fields["times"]["examples"] == [1, 3]
    assert "Clearer words." in text_of(answer)
    assert "Whom to greet" in text_of(olivia.get("/skills/greet/"))


def test_an_edit_that_is_wrong_keeps_what_was_typed(skill, olivia):
    form = form_of(text_of(olivia.get("/skills/greet/edit/")))
    form |= {"title": "Typed title", "input-times-examples": "many", "reason": "Words."}

    answer = olivia.post("/skills/greet/edit/", form)

    assert answer.status_code == 422
    assert "Typed title" in text_of(answer)
    assert "Write it as JSON" in text_of(answer)
    form["input-times-examples"] = '"many"'
    answer = olivia.post("/skills/greet/edit/", form)
    assert answer.status_code == 400
    assert "does not fit the input" in text_of(answer)
    assert in_use(skill) == 2


def test_an_edit_on_an_old_page_is_kept_and_can_be_sent_again(skill, olivia):
    form = form_of(text_of(olivia.get("/skills/greet/edit/")))
    form |= {"title": "Mine", "reason": "Words."}
    make_skill("greet", GREET.replace("Hello", "Hey"), manifest=TITLED, inputs=INPUTS)

    answer = olivia.post("/skills/greet/edit/", form)

    page = text_of(answer)
    assert answer.status_code == 409
    assert "version 3 is in use now, not 2" in page
    again = form_of(page)
    assert (again["title"], again["expected"]) == ("Mine", "3")
    olivia.post("/skills/greet/edit/", again)
    skill.refresh_from_db()
    assert (skill.version.number, skill.version.title) == (4, "Mine")


def test_the_matrix_gives_and_takes_rights(skill, olivia, person):
    group = create_group(actor=person("olivia").actor, name="Night: shift")
    seen = form_of(text_of(olivia.get("/skills/greet/grants/")))["seen"]

    olivia.post(
        "/skills/greet/grants/",
        {
            "seen": seen,
            "grant": ["role:run:operator", "group:approve:Night: shift"],
            "username": "Victor",
            "user-right": ["see"],
            "reason": "Only they.",
        },
    )

    rows = {
        (one.role, one.group, one.account and one.account.username, one.right)
        for one in SkillGrant.objects.select_related("group", "account")
    }
    assert rows == {
        ("operator", None, None, "run"),
        ("", group, None, "approve"),
        ("", None, "victor", "see"),
    }
    page = text_of(olivia.get("/skills/greet/grants/"))
    assert 'value="account:see:victor" checked' in page
    assert AuditEvent.objects.filter(code="catalogue.grant.change", outcome="done").exists()


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"seen": "0" * 32}, 409, "Somebody changed these rights"),
        ({"username": "nobody", "user-right": ["see"]}, 400, "no such account"),
        ({"reason": ""}, 400, "Give a reason"),
    ],
)
def test_what_cannot_be_saved_leaves_the_choice_on_the_page(olivia, change, status, said):
    before = SkillGrant.objects.count()
    seen = form_of(text_of(olivia.get("/skills/greet/grants/")))["seen"]
    choice = {"seen": seen, "grant": ["role:see:viewer"], "reason": "Only they."}

    answer = olivia.post("/skills/greet/grants/", choice | change)

    page = text_of(answer)
    assert answer.status_code == status
    assert said in page
    assert 'value="role:see:viewer" checked' in page
    assert 'value="role:run:operator" checked' not in page
    assert SkillGrant.objects.count() == before


class TestApi:
    def test_history_and_changes(self, skill, person):
        api = person("olivia").api

        versions = api.get("/api/v1/skills/greet/versions?limit=1").json()
        changes = api.get("/api/v1/skills/greet/changes?old=1").json()

        assert versions["results"][0]["number"] == 2
        assert versions["results"][0]["changed"] == ["Code"]
        assert versions["next_before"] == 2
        assert (changes["old"], changes["new"], changes["summary"]) == (1, 2, ["Code"])
        assert changes["files"][0]["path"] == "main.py"
        assert api.get("/api/v1/skills/greet/changes?old=7").status_code == 400

    def test_bind_roll_back_disable_enable(self, skill, person):
        api, why = person("olivia").api, {"reason": "Because."}

        def post(act, **body):
            return api.post(f"/api/v1/skills/greet/{act}", why | body, format="json")

        bound = post("bind", version=1, pin=True, expected=2).json()
        assert (bound["version"], bound["pinned"]) == (1, True)
        assert post("bind", version=2, expected=2).json()["code"] == "changed_meanwhile"
        assert post("bind", version=7).status_code == 400
        assert post("bind", version=2).json()["version"] == 2
        assert post("rollback").json()["version"] == 1
        assert post("disable").json()["disabled_reason"] == "Because."
        assert post("disable").status_code == 409
        assert post("enable").json()["enabled"]
        assert api.post("/api/v1/skills/greet/disable", {}, format="json").status_code == 400

    def test_edit_and_grants(self, skill, person):
        api = person("olivia").api
        body = {"changes": {"title": "Say hello"}, "reason": "Words."}

        edited = api.post("/api/v1/skills/greet/edit", body, format="json")
        body["changes"] = {"risk": "low", "timeout_s": 9}
        refused = api.post("/api/v1/skills/greet/edit", body, format="json")
        row = {"kind": "account", "who": "victor", "right": "see"}
        given = api.post(
            "/api/v1/skills/greet/grants", {"give": [row], "reason": "Looks."}, format="json"
        )

        assert edited.json()["version"] == 3
        assert set(refused.json()["fields"]) == {"risk", "timeout_s"}
        assert row in given.json()["results"]
        assert api.get("/api/v1/skills/greet/grants").json() == given.json()
        assert Skill.objects.get().version.title == "Say hello"


def test_a_version_that_is_only_registered_is_not_offered(person):
    skill, olivia = two_versions(), person("olivia")
    stopped = skill.version
    stopped.pk, stopped.number = None, 3
    stopped.save(force_insert=True)

    page = text_of(olivia.browser.get("/skills/greet/versions/"))
    rows = olivia.api.get("/api/v1/skills/greet/versions").json()["results"]

    assert "Its publication did not come through" in page
    assert 'name="version" value="1"' in page
    assert 'name="version" value="3"' not in page
    assert [(row["number"], row["published"]) for row in rows] == [(3, False), (2, True), (1, True)]
