"""Somebody runs a skill over a table, and over files, on the pages."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from skills.batches.models import Batch
from skills.batches.services import start_batch
from skills.executions.models import Execution
from tests.factories.skills import make_skill

TABLE = '[inputs.table]\ntype = "string"\nformat = "file"\n'


@pytest.fixture
def oscar(acme, person):
    make_skill(manifest='title = "Greet people"\n', inputs=INPUTS)
    return person("oscar")


INPUTS = (
    '[inputs.name]\ntype = "string"\ntitle = "Who"\n[inputs.times]\ntype = "integer"\ndefault = 1\n'
)


def rows_file(text: str, name: str = "people.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode())


def upload(oscar, text: str):
    return oscar.browser.post("/batches/new/greet/", {"from": "rows", "rows": rows_file(text)})


def text_of(answer) -> str:
    return " ".join(answer.content.decode().split())


def test_the_skill_leads_to_its_batches_only_for_who_may_run_it(oscar, person):
    assert 'href="/batches/new/greet/"' in text_of(oscar.browser.get("/skills/greet/"))

    victor = person("victor")
    assert "/batches/new/greet/" not in text_of(victor.browser.get("/skills/greet/"))
    assert victor.browser.get("/batches/new/greet/").status_code == 403


def test_an_empty_table_has_the_columns_of_the_skill(oscar):
    assert oscar.browser.get("/batches/new/greet/template.csv").content == b"name,times\r\n"


def test_from_the_table_to_the_running_batch(oscar):
    answer = upload(oscar, "who,n\nAda,2\nBob,x\n")
    batch = Batch.objects.get()
    assert answer.url == f"/batches/{batch.pk}/"
    assert "2 rows can run" in text_of(oscar.browser.get(answer.url))
    assert "Not used: n." in text_of(oscar.browser.get(answer.url))

    chosen = {"column-name": "who", "column-times": "n"}
    oscar.browser.post(f"{answer.url}columns/", chosen)
    page = text_of(oscar.browser.get(answer.url))
    assert "1 row can run" in page
    assert "<b>Times</b> must be a whole number" in page

    oscar.browser.post(f"{answer.url}start/", {"skip_invalid": "on"})
    page = text_of(oscar.browser.get(answer.url))
    assert "0 of 1 rows are over" in page
    assert f"{answer.url}live/?seen=running" in page
    execution = Execution.objects.get()
    assert f'href="{answer.url}"' in text_of(oscar.browser.get(f"/executions/{execution.pk}/"))


def test_values_for_all_rows_are_typed_where_no_column_fills_an_input(oscar):
    url = upload(oscar, "who\nAda\n").url

    oscar.browser.post(f"{url}columns/", {"column-name": "who", "same-times": "3"})

    assert Batch.objects.get().rows.get().inputs == {"times": 3, "name": "Ada"}


def test_the_live_part_follows_and_the_page_is_loaded_again_when_the_state_changes(oscar):
    url = upload(oscar, "name\nAda\n").url
    oscar.browser.post(f"{url}start/")

    same = oscar.browser.get(f"{url}live/?seen=running", headers={"HX-Request": "true"})
    assert "0 of 1 rows are over" in text_of(same)
    assert "<html" not in text_of(same)
    oscar.browser.post(f"{url}pause/")
    changed = oscar.browser.get(f"{url}live/?seen=running", headers={"HX-Request": "true"})
    assert changed["HX-Refresh"] == "true"


def test_a_file_that_cannot_be_read_is_said_beside_the_field(oscar):
    answer = upload(oscar, "name,name\nAda,Bob\n")

    assert answer.status_code == 422
    assert "Two columns are called" in text_of(answer)
    assert not Batch.objects.exists()


def test_starting_a_batch_with_errors_needs_the_box(oscar):
    url = upload(oscar, "name,times\nAda,1\nBob,x\n").url

    answer = oscar.browser.post(f"{url}start/", headers={"Referer": f"http://acme.localhost{url}"})

    assert answer.status_code == 303
    assert "1 of 2 rows have errors" in text_of(oscar.browser.get(url))


def test_many_files_with_what_is_the_same_for_all(oscar):
    make_skill(
        "sum",
        "def main(table, factor):\n    return 1\n",
        manifest='risk = "low"\n',
        inputs=f'{TABLE}[inputs.factor]\ntype = "integer"\n',
    )
    files = [rows_file("a", f"{number}.csv") for number in range(2)]

    missing = oscar.browser.post("/batches/new/sum/", {"from": "files", "files": files})
    assert missing.status_code == 422
    files = [rows_file("a", f"{number}.csv") for number in range(2)]
    sent = {"from": "files", "files": files, "same-factor": "3"}
    answer = oscar.browser.post("/batches/new/sum/", sent)

    page = text_of(oscar.browser.get(answer.url))
    assert "2 rows can run" in page
    assert "1.csv" in page


def test_the_approver_sees_count_and_risk_and_decides_once(oscar, person):
    make_skill(
        "pay",
        manifest='risk = "high"\nconfirm = true\napproval = "four_eyes"\n',
        inputs='[inputs.name]\ntype = "string"\n',
    )
    sent = {"from": "rows", "rows": rows_file("name\nAda\nBob\n")}
    url = oscar.browser.post("/batches/new/pay/", sent).url
    batch = start_batch(actor=oscar.actor, batch=Batch.objects.get())
    assert "Confirm that 2 rows shall run" in text_of(oscar.browser.get(url))
    oscar.browser.post(f"{url}confirm/")

    anna = person("anna")
    assert "rows-title" not in text_of(anna.browser.get("/batches/?status=finished"))
    page = text_of(anna.browser.get(url))
    assert "Your approval is asked for 2 rows" in page
    assert "High risk" in page
    anna.browser.post(f"{url}reject/", {"reason": "Not today."})

    batch.refresh_from_db()
    assert batch.status == "rejected"
    assert "Not today." in text_of(oscar.browser.get(url))


def test_the_list_shows_own_batches_by_tab(oscar, person):
    upload(oscar, "name\nAda\n")

    assert "people.csv" in text_of(oscar.browser.get("/batches/?status=draft"))
    assert "Nothing fits" in text_of(oscar.browser.get("/batches/?status=finished"))
    assert "people.csv" not in text_of(person("dana").browser.get("/batches/"))
    assert "people.csv" in text_of(person("olivia").browser.get("/batches/?who=osc"))
