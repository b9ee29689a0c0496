"""The pages of submissions: send files, describe, follow, answer, revise, withdraw."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from skills.hot_update import checking
from skills.hot_update.models import Remark, Submission
from skills.hot_update.public import public_domain
from skills.hot_update.submitting.intake import PendingFiles
from tests.conftest import tenant_named
from tests.factories.submissions import GREET, MANIFEST, archive, latest, submit

pytestmark = pytest.mark.usefixtures("acme")
ANSWERS = {"scenario": "The front desk greets visitors.", "manual": "on"}


@pytest.fixture
def dana(person):
    return person("dana")


def text_of(response) -> str:
    return response.content.decode()


def sent_files(person, bundle=None) -> str:
    """Send the first page; return the address of the second."""
    answer = person.browser.post("/submissions/new/", {"bundle": bundle or archive()})
    assert answer.status_code == 302, text_of(answer)
    return answer["Location"]


def description_of(page: str) -> dict[str, str]:
    """Return what the editor is filled with, as a browser would send it."""
    values = dict(re.findall(r'<input type="(?:text|number)" name="([^"]+)" value="([^"]*)"', page))
    values |= dict(re.findall(r'<textarea name="([^"]+)"[^>]*>\s?([^<]*)</textarea>', page))
    radios = r'type="radio" name="(risk|approval|visibility)" value="([^"]+)"[^>]*checked'
    values |= dict(re.findall(radios, page))
    return values


def checked(submission):
    checking.check_revision(latest(submission).pk)


def test_from_the_files_to_the_reviewers(dana):
    address = sent_files(dana)
    editor = text_of(dana.browser.get(address))
    values = description_of(editor)
    assert (values["title"], values["risk"], values["visibility"]) == ("Greet", "low", "tenant")
    assert values["name.description"] == "Whom to greet."
    assert "What users will see" in editor

    answer = dana.browser.post(
        address, {**values, **ANSWERS, "title": "Greet visitors", "visibility": "granted"}
    )

    submission = Submission.objects.get()
    assert answer["Location"] == f"/submissions/{submission.pk}/"
    skill = latest(submission).manifest["skill"]
    assert (skill["title"], skill["visibility"]) == ("Greet visitors", "granted")
    page = text_of(dana.browser.get(answer["Location"]))
    assert "This page follows by itself" in page
    assert 'hx-trigger="every 2s"' in page
    checked(submission)
    page = text_of(dana.browser.get(answer["Location"]))
    assert "reviewers have it now" in page
    assert "greeting you" in page
    assert "every 2s" not in page
    assert "greet" in text_of(dana.browser.get("/submissions/"))


def test_without_a_manifest_the_editor_starts_from_code_readme_and_file_name(dana):
    files = {name: text for name, text in GREET.items() if name != "skill.toml"}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for name, text in files.items():
            zipped.writestr(name, text)
    bundle = SimpleUploadedFile("say-hello.zip", packed.getvalue())

    values = description_of(text_of(dana.browser.get(sent_files(dana, bundle))))

    assert (values["name"], values["title"], values["risk"]) == ("say-hello", "Greet", "medium")
    assert values["name.title"] == "Name"


def test_the_preview_follows_the_editor(dana):
    address = sent_files(dana)
    values = description_of(text_of(dana.browser.get(address)))

    changed = dana.browser.post(
        f"{address}preview/",
        {**values, "name.title": "Whom", "name.enum": "Ada\nGrace", "name.default": "Ada"},
    )
    wrong = dana.browser.post(f"{address}preview/", {**values, "timeout_s": "0"})

    assert "Whom" in text_of(changed)
    assert re.search(r'value="Grace"', text_of(changed))
    assert "not right yet" in text_of(wrong)


def test_errors_stand_beside_the_fields_and_nothing_is_submitted(dana):
    address = sent_files(dana)
    values = description_of(text_of(dana.browser.get(address)))

    answer = dana.browser.post(
        address, {**values, "name": "Not Good", "scenario": "", "manual": "on"}
    )
    name = dana.browser.post(address, {**values, **ANSWERS, "name": "Not Good"})
    nobody = dana.browser.post(address, {**values, "scenario": "x"})
    choices = dana.browser.post(address, {**values, **ANSWERS, "name.enum": "Ada"})

    assert [one.status_code for one in (answer, name, nobody, choices)] == [422] * 4
    assert "single hyphens" in text_of(name)
    assert "Nobody could call it" in text_of(nobody)
    assert "default does not fit" in text_of(choices)
    assert not Submission.objects.exists()


@pytest.mark.parametrize("content", [b"", b"Rar!", b"PK\x03\x04nonsense"])
def test_what_is_no_archive_is_said_on_the_first_page(dana, content):
    answer = dana.browser.post("/submissions/new/", {"bundle": SimpleUploadedFile("x", content)})

    assert answer.status_code == 422
    assert 'id="id_bundle_error"' in text_of(answer)


def test_a_manifest_with_unknown_keys_is_said_on_the_second_page(dana):
    bundle = archive({"skill.toml": MANIFEST.replace("risk =", "rsik =")})

    page = text_of(dana.browser.get(sent_files(dana, bundle)))

    assert "unknown key &#x27;rsik&#x27; in [skill]" in page


def test_the_second_submission_leads_to_the_first(dana):
    first = submit(dana.actor)
    address = sent_files(dana)
    values = description_of(text_of(dana.browser.get(address)))

    answer = dana.browser.post(address, {**values, **ANSWERS})

    assert answer["Location"] == f"/submissions/{first.pk}/"
    assert "There is a submission for greet already" in text_of(
        dana.browser.get(answer["Location"])
    )


def test_new_files_become_a_revision_whose_differences_are_shown(dana):
    submission = submit(dana.actor, {"old.txt": "old\n"})
    checked(submission)
    url = f"/submissions/{submission.pk}"
    bundle = archive({"main.py": GREET["main.py"].replace("Hello", "Good day"), "new.txt": "new\n"})

    described = dana.browser.post(f"{url}/revise/", {"bundle": bundle})["Location"]
    values = description_of(text_of(dana.browser.get(described)))
    sent = dana.browser.post(described, {**values, **ANSWERS, "risk": "high"})

    assert sent["Location"] == f"{url}/"
    page = text_of(dana.browser.get(f"/submissions/revisions/{latest(submission).pk}/"))
    assert "Good day" in page
    assert 'class="is-removed">-    return {&quot;greeting&quot;: f&quot;Hello' in page
    for said in ("old.txt", "removed", "new.txt", "added", "risk = &quot;high&quot;"):
        assert said in page


def test_the_description_alone_can_be_changed(dana):
    submission = submit(dana.actor)
    checked(submission)

    described = dana.browser.post(f"/submissions/{submission.pk}/rewrite/")["Location"]
    page = text_of(dana.browser.get(described))
    dana.browser.post(described, {**description_of(page), **ANSWERS, "title": "Better"})

    first, second = submission.revisions.order_by("number")
    assert first.digest == second.digest
    assert second.manifest["skill"]["title"] == "Better"


def test_remarks_of_reviewers_are_read_and_answered(dana):
    submission = submit(dana.actor)
    checked(submission)
    with public_domain():
        Remark.objects.create(
            revision=latest(submission), text="Why medium?", author="sam", is_reviewer=True,
            created_at=timezone.now(),
        )  # fmt: skip
    url = f"/submissions/{submission.pk}"

    dana.browser.post(f"{url}/answer/", {"text": "It is safe."})

    page = text_of(dana.browser.get(f"{url}/"))
    assert page.index("Why medium?") < page.index("It is safe.")


def test_withdraw_and_check_again(dana):
    submission = submit(dana.actor)
    checked(submission)
    url = f"/submissions/{submission.pk}"

    assert "made again" in text_of(dana.browser.post(f"{url}/recheck/", follow=True))
    assert "It was withdrawn" in text_of(dana.browser.post(f"{url}/withdraw/", follow=True))


def test_a_draft_is_of_one_account_in_one_tenant(dana, person, globex):
    connection.set_tenant(tenant_named("acme"))
    address = sent_files(dana)
    stored_as = f"{globex.schema_name}/bundles/{'0' * 64}.tar.gz"
    foreign_files = PendingFiles(stored_as, "x").sign(dana.actor)

    assert person("olivia").browser.get(address).status_code == 404
    assert dana.browser.get(address[:-2] + "x/").status_code == 404
    assert dana.browser.get(f"/submissions/new/{foreign_files}/").status_code == 404
    connection.set_tenant(globex)
    assert person("gina").browser.get(address).status_code == 404


def test_a_submission_of_another_tenant_is_404(dana, person, globex):
    foreign = submit(person("gina").actor)
    connection.set_tenant(tenant_named("acme"))
    url = f"/submissions/{foreign.pk}"

    assert dana.browser.get(f"{url}/").status_code == 404
    assert dana.browser.get(f"{url}/revise/").status_code == 404
    revision = foreign.pk  # Of no revision here; theirs is looked for in test_foreign_ids.
    assert dana.browser.get(f"/submissions/revisions/{revision}/").status_code == 404
    for path in ("/revise/", "/rewrite/", "/recheck/", "/withdraw/", "/answer/"):
        assert dana.browser.post(url + path, {"text": "x"}).status_code == 404


def test_only_who_may_submit_has_the_pages_and_the_menu(person):
    for who, status in (("dana", 200), ("olivia", 200), ("oscar", 403), ("victor", 403)):
        browser = person(who).browser
        assert browser.get("/submissions/").status_code == status
        assert browser.get("/submissions/new/").status_code == status
        assert ("/submissions/" in text_of(browser.get("/skills/"))) == (status == 200)


def test_the_pages_cost_the_same_however_much_there_is(dana, django_assert_max_num_queries):
    for number in range(4):
        checked(submit(dana.actor, name=f"skill-{number}"))

    with django_assert_max_num_queries(10):
        dana.browser.get("/submissions/")
    with django_assert_max_num_queries(16):
        dana.browser.get(f"/submissions/{Submission.objects.first().pk}/")
