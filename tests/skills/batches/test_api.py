from __future__ import annotations

import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from skills.batches.models import Batch
from skills.catalogue.models import SkillGrant
from tests.factories.skills import make_skill

from .conftest import FOUR_EYES, read_csv, table_of


def send_file(person, content: str, name: str = "people.csv") -> str:
    file = SimpleUploadedFile(name, content.encode())
    return person.api.post("/api/v1/files", {"file": file}).json()["id"]


def make(person, content: str, **more):
    body = {"skill": "greet", "file": send_file(person, content), **more}
    return person.api.post("/api/v1/batches", body, format="json")


def post(person, path: str, body: object = None):
    return person.api.post(f"/api/v1/batches/{path}", body or {}, format="json")


def test_a_batch_from_upload_to_results(greet, oscar, work):
    answer = make(oscar, "Name,times,note\nAda,2,a\nBob,x,b\n")
    assert answer.status_code == 201
    batch = answer.json()
    assert batch["status"] == "draft"
    assert batch["counts"]["invalid"] == 1
    assert batch["errors"] == [{"row": 3, "errors": {"times": "must be a whole number"}}]
    assert (batch["mapping"], batch["unused_columns"]) == (
        {"name": "Name", "times": "times"},
        ["note"],
    )

    refused = post(oscar, f"{batch['id']}/start")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    started = post(oscar, f"{batch['id']}/start", {"skip_invalid": True})
    assert started.json()["status"] == "running"
    work(Batch.objects.get())

    over = oscar.api.get(f"/api/v1/batches/{batch['id']}?wait=5").json()
    assert (over["status"], over["fraction"], over["is_final"]) == ("finished", 1.0, True)
    rows = oscar.api.get(f"/api/v1/batches/{batch['id']}/rows").json()["results"]
    assert [(row["number"], row["status"], row["output"]) for row in rows] == [
        (2, "succeeded", {"greeting": "Hello, Ada!"}),
        (3, "invalid", None),
    ]
    table = oscar.api.get(f"/api/v1/batches/{batch['id']}/result.csv")
    assert read_csv(b"".join(table.streaming_content))[0]["greeting"] == "Hello, Ada!"
    workbook = oscar.api.get(f"/api/v1/batches/{batch['id']}/result.xlsx")
    assert b"".join(workbook.streaming_content).startswith(b"PK")
    archive = oscar.api.get(f"/api/v1/batches/{batch['id']}/artifacts.zip")
    content = io.BytesIO(b"".join(archive.streaming_content))
    assert zipfile.ZipFile(content).namelist() == []


def test_rows_come_in_pages_and_by_status(greet, oscar):
    batch = make(oscar, table_of(120) + "x,y\n").json()["id"]

    first = oscar.api.get(f"/api/v1/batches/{batch}/rows?limit=100").json()
    rest = oscar.api.get(first["next"]).json()
    wrong = oscar.api.get(f"/api/v1/batches/{batch}/rows?status=invalid").json()["results"]

    numbers = [row["number"] for row in first["results"] + rest["results"]]
    assert numbers == list(range(2, 123))
    assert [row["number"] for row in wrong] == [122]
    assert oscar.api.get(f"/api/v1/batches/{batch}/rows?status=odd").status_code == 400


def test_the_decisions_are_made_once_by_the_right_people(oscar, anna):
    make_skill(manifest=FOUR_EYES, inputs='[inputs.name]\ntype = "string"\n')
    batch = make(oscar, table_of(3)).json()["id"]

    waiting = post(oscar, f"{batch}/start").json()
    assert (waiting["status"], waiting["requires_confirmation"], waiting["risk"]) == (
        "awaiting_confirmation",
        True,
        "high",
    )
    assert post(anna, f"{batch}/approve").status_code == 404  # Not hers to see before.
    assert post(oscar, f"{batch}/confirm").json()["status"] == "awaiting_approval"
    assert post(oscar, f"{batch}/approve").status_code == 403
    assert post(anna, f"{batch}/reject").status_code == 400
    assert post(anna, f"{batch}/approve").json()["status"] == "running"
    assert post(oscar, f"{batch}/confirm").status_code == 409


def test_pause_resume_cancel_and_retry(greet, oscar, work):
    batch = make(oscar, table_of(9)).json()["id"]
    post(oscar, f"{batch}/start")

    assert post(oscar, f"{batch}/pause").json()["status"] == "paused"
    assert post(oscar, f"{batch}/pause").status_code == 409
    assert post(oscar, f"{batch}/resume").json()["status"] == "running"
    assert post(oscar, f"{batch}/cancel").json()["status"] == "cancelled"
    assert post(oscar, f"{batch}/retry").status_code == 409


def test_columns_can_be_chosen_again(greet, oscar):
    batch = make(oscar, "who\nAda\n").json()
    assert batch["mapping"] == {}

    changed = post(oscar, f"{batch['id']}/mapping", {"mapping": {"name": "who"}}).json()

    assert changed["mapping"] == {"name": "who"}


def test_batches_of_others_are_not_there(greet, oscar, person):
    batch = make(oscar, table_of(1)).json()["id"]
    dana = person("dana")

    assert dana.api.get(f"/api/v1/batches/{batch}").status_code == 404
    assert post(dana, f"{batch}/start").status_code == 404
    assert dana.api.get("/api/v1/batches").json()["results"] == []
    assert len(person("olivia").api.get("/api/v1/batches").json()["results"]) == 1


def test_a_skill_one_may_not_see_is_not_there_and_one_may_not_run_is_refused(oscar, person):
    secret = make_skill("secret")
    SkillGrant.objects.filter(skill=secret).delete()
    file = send_file(oscar, table_of(1))

    answer = oscar.api.post("/api/v1/batches", {"skill": "secret", "file": file}, format="json")
    assert answer.status_code == 404

    SkillGrant.objects.create(skill=secret, role="operator", right="see")
    answer = oscar.api.post("/api/v1/batches", {"skill": "secret", "file": file}, format="json")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"skill": "greet"}, None),
        ({"skill": "greet", "file": "01980000-0000-7000-8000-000000000001"}, "file"),
        ({"skill": "greet", "file": "nonsense"}, "file"),
        ({"skill": "greet", "files": ["x"]}, "files"),
        ({"skill": "greet", "mapping": []}, "mapping"),
        ({"skill": "greet", "inputs": {"odd": 1}, "file": "own"}, "odd"),
    ],
)
def test_what_cannot_be_used_is_said(greet, oscar, body, field):
    if body.get("file") == "own":
        body = {**body, "file": send_file(oscar, table_of(1))}

    answer = oscar.api.post("/api/v1/batches", body, format="json")

    assert answer.status_code == 400
    assert field is None or any(name.startswith(field) for name in answer.json()["fields"])


def test_the_same_key_makes_one_batch(greet, oscar):
    body = {"skill": "greet", "file": send_file(oscar, table_of(2))}
    once = {"HTTP_IDEMPOTENCY_KEY": "once"}

    first = oscar.api.post("/api/v1/batches", body, format="json", **once)
    second = oscar.api.post("/api/v1/batches", body, format="json", **once)

    assert first.json()["id"] == second.json()["id"]
