"""The review desk's pages, as a reviewer uses them."""

from __future__ import annotations

import re

import pytest

from skills.hot_update.models import Submission
from skills.hot_update.publishing import carrying_out
from skills.hot_update.publishing.carrying_out import publish_revision
from skills.hot_update.states import SubmissionStatus
from tests.conftest import tenant_named
from tests.factories.revisions import make_revision
from tests.factories.skills import make_skill
from tests.skills.hot_update.conftest import in_tenant

pytestmark = pytest.mark.usefixtures("platform")
NEW = "# a comment\ndef main(name: str = 'you') -> str:\n    return name.upper()\n"


@pytest.fixture
def sam(person):
    return person("sam").browser


@pytest.fixture
def acme_revision():
    return make_revision(tenant_named("acme"), NEW, files={"data/table.csv": "a,b\n1,2\n"})


def text_of(response) -> str:
    return response.content.decode()


def page(revision, part="") -> str:
    return f"/platform/reviews/{revision.submission_id}/{part}"


def verdict(revision, **fields):
    return {
        "revision": str(revision.pk), "digest": revision.digest, "risk": "medium",
        "approval": "none", "visibility": "tenant", "manual": "on", "ai_callable": "on",
        "timeout_s": "300", "memory_mb": "512", **fields,
    }  # fmt: skip


def status_of(revision):
    return Submission.objects.get(pk=revision.submission_id).status


def test_the_menu_says_how_many_wait(sam, acme_revision):
    make_revision(tenant_named("globex"))

    menu = text_of(sam.get("/platform/"))

    assert re.search(r'Reviews</span>\s*<span class="menu-badge">2<', menu)


def test_the_queue_shows_what_waits_and_is_filtered(sam, acme_revision):
    make_revision(tenant_named("globex"), name="other", risk="high")
    make_revision(tenant_named("acme"), name="done", status=SubmissionStatus.LIVE)

    queue = text_of(sam.get("/platform/reviews/"))
    high = text_of(sam.get("/platform/reviews/", {"risk": "high"}))
    live = text_of(sam.get("/platform/reviews/", {"status": "live"}))

    assert "greet" in queue
    assert "Globex" in queue
    assert ">done<" not in queue
    assert ">other<" in high
    assert ">greet<" not in high
    assert ">done<" in live
    assert "No submission fits" in text_of(sam.get("/platform/reviews/", {"q": "nothing"}))


def test_the_queue_costs_the_same_however_long_it_is(sam, django_assert_max_num_queries):
    for number in range(5):
        make_revision(tenant_named("acme"), name=f"skill-{number}")
    sam.get("/platform/reviews/")

    with django_assert_max_num_queries(10):
        sam.get("/platform/reviews/")


def test_a_reviewer_sees_everything_about_a_new_script(sam, acme_revision):
    shown = text_of(sam.get(page(acme_revision)))

    assert acme_revision.digest in shown
    for words in ("The front desk greets visitors.", "Risky calls", "It greeted.", "It is new"):
        assert words in shown
    assert '<span class="hl-c1"># a comment</span>' in shown
    assert "style=" not in re.sub(r"<svg.*?</svg>", "", shown, flags=re.DOTALL)


def test_the_files_are_read_one_by_one(sam, acme_revision):
    shown = text_of(sam.get(page(acme_revision, "files/"), {"path": "data/table.csv"}))

    assert "1,2" in shown
    assert "main.py" in shown
    assert sam.get(page(acme_revision, "files/"), {"path": "../main.py"}).status_code == 404
    archive = sam.get(page(acme_revision, "bundle/"))
    assert archive["Content-Disposition"].startswith("attachment")


def test_source_cannot_hide_from_the_reviewer(sam):
    trojan = "x = '\u202e1 == 2'  # <script>alert(1)</script>\n"
    revision = make_revision(tenant_named("acme"), trojan)

    shown = text_of(sam.get(page(revision, "files/"), {"path": "main.py"}))

    assert "\u27e6U+202E\u27e7" in shown
    assert "1 character that does not show" in shown
    assert "<script>alert" not in shown


def test_an_update_is_shown_as_a_difference(sam):
    tenant = tenant_named("acme")
    with in_tenant(tenant):
        make_skill(**{"notes.txt": "old"})
    lock = {"python": "3.11.7", "tag": "cpython-311", "text": "rich==15 --hash=sha256:00\n"}
    revision = make_revision(tenant, NEW, risk="high", lock=lock)

    shown = text_of(sam.get(page(revision)))

    assert "Changes to version 1, which is in use" in shown
    assert "+    return name.upper()" in shown
    assert "-    print(&quot;greeting&quot;, name)" in shown
    assert "notes.txt" in shown
    assert "+risk = &#x27;high&#x27;" in shown
    assert "+rich==15" in shown


def test_approving_with_tighter_rules_publishes(sam, acme_revision):
    tighter = verdict(acme_revision, risk="high", visibility="granted")

    answer = sam.post(page(acme_revision, "approve/"), tighter)

    assert answer.status_code == 302
    assert status_of(acme_revision) == SubmissionStatus.PUBLISHING
    publish_revision(acme_revision.pk)
    shown = text_of(sam.get(page(acme_revision)))
    for step in ("Sync", "Register", "Authorise", "Verify"):
        assert step in shown
    assert "It is in use" in shown
    assert "risk = high" in shown
    assert "Nobody has a right on it yet" in shown
    assert "No other tenant sees or runs it" in shown


def test_a_rule_that_is_too_loose_is_said_beside_its_field(sam, acme_revision):
    answer = sam.post(page(acme_revision, "approve/"), verdict(acme_revision, timeout_s="9000"))

    assert answer.status_code == 422
    assert "At most 300, as it was submitted." in text_of(answer)
    assert status_of(acme_revision) == SubmissionStatus.IN_REVIEW


def test_a_page_that_is_out_of_date_approves_nothing(sam, acme_revision):
    old = verdict(acme_revision)
    make_revision(tenant_named("acme"), submission=acme_revision.submission)

    answer = sam.post(
        page(acme_revision, "approve/"),
        old,
        headers={"referer": f"http://admin.localhost{page(acme_revision)}"},
        follow=True,
    )

    assert "Revision 2 came in meanwhile" in text_of(answer)
    assert status_of(acme_revision) == SubmissionStatus.IN_REVIEW


def test_rejecting_needs_a_reason_and_shows_it(sam, acme_revision):
    silent = sam.post(page(acme_revision, "reject/"), verdict(acme_revision), follow=True)
    assert "Write what has to change." in text_of(silent)
    assert status_of(acme_revision) == SubmissionStatus.IN_REVIEW

    sam.post(page(acme_revision, "reject/"), verdict(acme_revision, reason="Pin the packages."))

    assert status_of(acme_revision) == SubmissionStatus.REJECTED
    assert "Pin the packages." in text_of(sam.get(page(acme_revision)))


def test_a_remark_is_said_and_shown(sam, acme_revision):
    sam.post(page(acme_revision, "remark/"), {"text": "What is table.csv for?"})

    assert "What is table.csv for?" in text_of(sam.get(page(acme_revision)))


def test_a_publication_that_stopped_says_why_and_is_resumed(sam, acme_revision, monkeypatch):
    def broken(*_):
        raise RuntimeError("full")

    sam.post(page(acme_revision, "approve/"), verdict(acme_revision))
    with monkeypatch.context() as patch:
        patch.setitem(carrying_out.STEPS, "register", broken)
        publish_revision(acme_revision.pk)
    stopped = text_of(sam.get(page(acme_revision)))
    assert "Publishing stopped" in stopped
    assert "The platform failed at this." in stopped

    sam.post(page(acme_revision, "resume/"))
    publish_revision(acme_revision.pk)

    assert status_of(acme_revision) == SubmissionStatus.LIVE


def test_a_live_version_is_withdrawn_with_a_reason(sam, acme_revision):
    sam.post(page(acme_revision, "approve/"), verdict(acme_revision))
    publish_revision(acme_revision.pk)

    sam.post(page(acme_revision, "withdraw/"), {"reason": "It is wrong."})

    assert "Withdrawn everywhere by sam: It is wrong." in text_of(sam.get(page(acme_revision)))


@pytest.mark.parametrize("part", ["", "files/", "bundle/"])
def test_who_is_no_reviewer_finds_nothing(person, acme_revision, part):
    from execfabric.core.actor import Actor, Door
    from tenants.accounts.services import create_account

    create_account(
        actor=Actor.system("tests", door=Door.COMMAND), username="wanda", roles=frozenset()
    )

    assert person("wanda").browser.get(page(acme_revision, part)).status_code == 404
    with in_tenant(tenant_named("acme")):
        assert person("olivia").browser.get(page(acme_revision, part)).status_code == 404
