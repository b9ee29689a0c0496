"""Submitting over the API, and what everything that cannot be a script is told."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from skills.hot_update import checking
from skills.hot_update.models import Submission
from tests.conftest import tenant_named
from tests.factories.submissions import GREET, archive, latest, submit

pytestmark = pytest.mark.usefixtures("acme")
URL = "/api/v1/submissions"
SCENARIO = "The front desk greets visitors."


@pytest.fixture
def dana(person):
    return person("dana")


def send(person, bundle=None, url=URL, **fields):
    body = {"bundle": bundle or archive(), "scenario": SCENARIO, **fields}
    return person.api.post(url, body, format="multipart")


def test_submit_wait_and_read_the_report(dana):
    sent = send(dana, ai_callable="true", note="Please.")

    assert sent.status_code == 201, sent.content
    created = sent.json()
    assert (created["skill"], created["status"]) == ("greet", "checking")
    (revision,) = created["revisions"]
    assert (revision["ai_callable"], revision["manual"], revision["confirm"]) == (True, True, False)
    assert revision["manifest"]["skill"]["ai_callable"] is True

    checking.check_revision(Submission.objects.get().revisions.get().pk)
    seen = dana.api.get(f"{URL}/{created['id']}").json()

    assert seen["status"] == "in_review"
    assert {entry["level"] for entry in seen["revisions"][0]["checks"]} == {"pass"}
    assert [row["id"] for row in dana.api.get(URL).json()["results"]] == [created["id"]]
    assert dana.api.get(f"{URL}?status=live").json()["results"] == []
    assert dana.api.get(f"{URL}?status=odd").status_code == 400


def test_a_tar_gz_and_a_folder_around_everything_are_taken_too(dana):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in GREET.items():
            entry = tarfile.TarInfo(f"greet/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))

    assert send(dana, SimpleUploadedFile("x.tar.gz", packed.getvalue())).status_code == 201


def test_the_owner_cannot_be_chosen(dana, acme, globex):
    connection.set_tenant(acme)

    sent = send(dana, tenant="globex", tenant_id=str(globex.pk), schema="tenant_1002")

    assert sent.status_code == 201
    assert Submission.objects.get().tenant.name == "acme"


def test_keys_of_the_manifest_are_changed_by_the_request(dana):
    changes = {"skill": {"risk": "high", "tags": ["desk"]}, "inputs": {"name": {"title": "Whom"}}}

    manifest = send(dana, manifest=json.dumps(changes)).json()["revisions"][0]["manifest"]

    assert manifest["skill"]["risk"] == "high"
    assert manifest["inputs"]["name"]["title"] == "Whom"
    assert manifest["inputs"]["name"]["description"] == "Whom to greet."


@pytest.mark.parametrize(
    "changes",
    ['{"skill": {"rsik": "low"}}', '{"skill": 3}', '{"more": {"a": 1}}', "[]", "{",
     '{"inputs": {"name": {"type": "nothing"}}}', '{"skill": {"title": "\\ud800", "x": 1}}'],
)  # fmt: skip
def test_a_change_that_is_no_manifest_is_refused(dana, changes):
    refused = send(dana, manifest=changes)

    assert refused.status_code == 400
    assert "manifest" in refused.json()["fields"]
    assert not Submission.objects.exists()


def encrypted():
    packed = bytearray(archive().read())
    for at in (packed.find(b"PK\x01\x02") + 8, packed.find(b"PK\x03\x04") + 6):
        packed[at] |= 1
    return bytes(packed)


def many_files():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for number in range(100_000):
            zipped.writestr(f"f/{number}", b"")
    return packed.getvalue()


def bomb():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("main.py", b"\0" * 60 * 1024 * 1024)
    return packed.getvalue()


def linked():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("main.py")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (encrypted, "encrypted"),
        (lambda: b"Rar!\x1a\x07\x01\x00" + b"x" * 100, "neither a zip nor a tar.gz"),
        (lambda: b"PK\x03\x04nonsense", "damaged"),
        (many_files, "more than 2000 files and folders"),
        (bomb, "larger than 50 MiB"),
        (linked, "is a link or a device"),
        (lambda: archive({"/etc/x": "x"}).read(), "is an absolute path"),
        (lambda: archive({"../x": "x"}).read(), "leads out of the folder"),
        (lambda: archive({"C:\\x": "x"}).read(), "is an absolute path"),
    ],
    ids=[
        "encrypted",
        "rar",
        "damaged",
        "100000-files",
        "bomb",
        "link",
        "absolute",
        "climbs",
        "drive",
    ],
)
def test_what_cannot_be_a_script_folder_is_refused_with_the_reason(dana, content, says):
    refused = send(dana, SimpleUploadedFile("x.zip", content()))

    assert refused.status_code == 400, refused.content
    assert says in refused.json()["fields"]["bundle"]
    assert not Submission.objects.exists()


def test_an_upload_of_two_gigabytes_is_refused_before_it_is_read(dana):
    refused = dana.api.generic(
        "POST", URL, b"", content_type="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(2 * 1024**3),
    )  # fmt: skip

    assert refused.status_code == 413
    assert "at most" in refused.json()["message"]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "cp1252"])
def test_a_readme_in_another_encoding_is_taken_and_held_back_by_its_check(dana, encoding):
    readme = GREET["README.md"].replace("somebody", "Grüße").encode(encoding)

    sent = send(dana, archive({"README.md": readme}))

    assert sent.status_code == 201, sent.content
    submission = Submission.objects.get()
    checking.check_revision(latest(submission).pk)
    entries = {one["check"]: one for one in latest(submission).checks}
    assert entries["readme"]["level"] == "block"
    assert "not UTF-8 text" in entries["readme"]["details"]


def test_the_second_one_for_a_skill_is_refused_with_the_id_of_the_first(dana):
    first = send(dana).json()["id"]

    refused = send(dana)

    assert refused.status_code == 409
    assert refused.json()["code"] == "already_submitted"
    assert refused.json()["fields"] == {"submission": first}


def test_revise_answer_recheck_and_withdraw(dana):
    created = send(dana).json()
    url = f"{URL}/{created['id']}"
    assert send(dana, url=f"{url}/revisions").status_code == 409
    checking.check_revision(latest(Submission.objects.get()).pk)

    revised = send(dana, archive({"main.py": GREET["main.py"] + "# more\n"}), f"{url}/revisions")
    assert [one["number"] for one in revised.json()["revisions"]] == [2, 1]
    checking.check_revision(latest(Submission.objects.get()).pk)
    assert dana.api.post(f"{url}/recheck").json()["status"] == "checking"
    answered = dana.api.post(f"{url}/remarks", {"text": "Done."}, format="json")
    assert answered.json()["remarks"][0]["text"] == "Done."
    assert dana.api.post(f"{url}/remarks", {"text": ""}, format="json").status_code == 400
    assert dana.api.post(f"{url}/withdraw").json()["status"] == "withdrawn"
    assert dana.api.post(f"{url}/withdraw").status_code == 409


def test_a_submission_of_another_tenant_is_404_for_every_act(dana, person, globex):
    foreign = submit(person("gina").actor)
    connection.set_tenant(tenant_named("acme"))
    url = f"{URL}/{foreign.pk}"

    answers = [
        dana.api.get(url),
        send(dana, url=f"{url}/revisions"),
        dana.api.post(f"{url}/recheck"),
        dana.api.post(f"{url}/withdraw"),
        dana.api.post(f"{url}/remarks", {"text": "x"}, format="json"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert dana.api.get(URL).json()["results"] == []


@pytest.mark.parametrize("who", ["oscar", "victor", "anna"])
def test_who_may_not_submit_sees_nothing(person, who):
    submit(person("dana").actor)
    somebody = person(who)

    assert send(somebody).status_code == 403
    assert somebody.api.get(URL).json()["results"] == []
