"""Samples of a skill are inputs without an upload: by page, API and command line."""

from __future__ import annotations

import html
import re

import pytest

from skills.executions import running
from skills.executions.models import Execution, StoredContent, StoredFile
from tests.factories.skills import make_skill

API = "/api/v1"
CODE = "def main(orders):\n    return [open(one).read() for one in orders]\n"
ONE = "def main(orders):\n    return open(orders).read()\n"
FILE = 'type = "string"\nformat = "file"\n'
SEVERAL = '[inputs.orders]\ntype = "array"\nitems = { type = "string", format = "file" }\n'
SAMPLES = {"samples/a.csv": "a;1\n", "samples/deep/b.txt": "b\n"}


@pytest.fixture
def oscar(acme, person):
    return person("oscar")


@pytest.fixture
def skill(acme):
    return make_skill(code=ONE, inputs=f"[inputs.orders]\n{FILE}", **SAMPLES)


def ask(who, value, skill="greet", **headers):
    body = {"skill": skill, "inputs": {"orders": value}}
    return who.api.post(f"{API}/executions", body, format="json", headers=headers)


def test_the_api_says_which_there_are_and_takes_them(oscar, skill):
    shown = oscar.api.get(f"{API}/skills/greet").json()
    assert [one["path"] for one in shown["samples"]] == ["a.csv", "deep/b.txt"]

    answer = ask(oscar, "sample:a.csv")

    assert answer.status_code == 201
    running.run_execution(answer.json()["id"])
    assert Execution.objects.get().output == "a;1\n"
    assert StoredFile.objects.get().name == "a.csv"


def test_several_may_be_given_with_uploads_between(oscar, acme):
    make_skill("several", code=CODE, inputs=SEVERAL, **SAMPLES)

    answer = ask(oscar, ["sample:deep/b.txt", "sample:a.csv"], "several")

    running.run_execution(answer.json()["id"])
    assert Execution.objects.get().output == ["b\n", "a;1\n"]


@pytest.mark.parametrize("name", ["no.csv", "../main.py", "", "a.csv/", "/a.csv"])
def test_any_other_name_is_refused_with_those_there_are(oscar, skill, name):
    answer = ask(oscar, f"sample:{name}")

    assert answer.status_code == 400
    assert "It has: sample:a.csv, sample:deep/b.txt." in answer.json()["fields"]["orders"]
    assert not StoredFile.objects.exists()


def test_the_same_sample_is_the_same_file_so_a_repeated_request_is_the_same(oscar, skill):
    headers = {"Idempotency-Key": "once"}

    first, again = (ask(oscar, "sample:a.csv", **headers) for _time in range(2))

    assert first.json()["id"] == again.json()["id"]
    assert StoredFile.objects.count() == StoredContent.objects.count() == 1


def page_of(who):
    return html.unescape(who.browser.get("/skills/greet/").content.decode())


def test_the_form_offers_them_with_one_click(oscar, skill):
    assert re.search(r'name="kept-orders" value="sample:a.csv"\s+data-kept="one"', page_of(oscar))

    answer = oscar.browser.post("/skills/greet/", {"kept-orders": "sample:a.csv"})

    assert answer.status_code == 302
    running.run_execution(str(Execution.objects.get().pk))
    assert Execution.objects.get().output == "a;1\n"


def test_a_form_that_comes_back_keeps_the_choice(oscar, skill):
    answer = oscar.browser.post(
        "/skills/greet/", {"kept-orders": ["sample:a.csv", "sample:deep/b.txt"]}
    )

    assert answer.status_code == 422
    assert "Choose one of these files." in answer.content.decode()
    assert answer.content.decode().count(" checked data-kept") == 2


def test_a_made_up_sample_in_the_form_is_no_file(oscar, skill):
    answer = oscar.browser.post("/skills/greet/", {"kept-orders": "sample:../main.py"})

    assert answer.status_code == 422
    assert not Execution.objects.exists()
