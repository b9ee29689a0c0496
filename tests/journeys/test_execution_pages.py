"""The executions' pages: the list, one execution as it goes on, its result and files."""

from __future__ import annotations

import html
import re
from uuid import uuid4

import pytest

from skills.executions import lifecycle, running, services
from skills.executions.models import Artifact, Execution
from skills.executions.states import Status
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
HTMX = {"HX-Request": "true"}
FILES = """
import os, sys
from pathlib import Path

def main():
    print("to out")
    print("to <b>err</b>", file=sys.stderr)
    out = Path(os.environ["EXECFABRIC_OUTPUT_DIR"])
    (out / "rows.csv").write_text("name;amount\\nLamp;<i>3</i>\\n")
    (out / "note.txt").write_text("<script>alert(1)</script>" + "x" * 70_000)
    (out / "page.html").write_text("<h1>hi</h1>")
    (out / "dot.png").write_bytes(b"\\x89PNG\\r\\n")
    (out / "data.bin").write_bytes(b"\\x00")
    return {"count": 2, "rows": [{"product": "Lamp", "amount": 3}], "deep": {"a": {"b": [1]}}}
"""
FAIL = 'def main():\n    raise ValueError("No column named amount.")\n'


@pytest.fixture
def oscar(person):
    return person("oscar")


@pytest.fixture
def ask(oscar):
    def request(skill=None, **inputs) -> Execution:
        return services.request_execution(
            actor=oscar.actor, skill=skill or make_skill(), inputs=inputs
        )

    return request


@pytest.fixture
def run(ask):
    """Ask for a skill and run it to its end, as a worker does."""

    def ask_and_run(skill) -> Execution:
        execution = ask(skill)
        running.run_execution(str(execution.pk))
        execution.refresh_from_db()
        return execution

    return ask_and_run


def text_of(response) -> str:
    return html.unescape(response.content.decode())


def url(execution, act="") -> str:
    return f"/executions/{execution.pk}/{act}"


def test_the_list_shows_own_executions_and_to_managers_all(oscar, person, ask):
    execution = ask()

    assert str(execution.pk) in text_of(oscar.browser.get("/executions/"))
    assert str(execution.pk) in text_of(person("olivia").browser.get("/executions/"))
    assert str(execution.pk) not in text_of(person("dana").browser.get("/executions/"))
    assert person("dana").browser.get(url(execution)).status_code == 404


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ({"status": "waiting"}, True),
        ({"status": "succeeded"}, False),
        ({"status": "bogus", "page": "x", "sort": "y"}, True),
        ({"skill": "greet"}, True),
        ({"who": "osc"}, True),
        ({"who": "dana"}, False),
    ],
)
def test_the_list_is_filtered(person, ask, query, is_there):
    execution = ask(make_skill(manifest="confirm = true"))

    page = text_of(person("olivia").browser.get("/executions/", query))

    assert (str(execution.pk) in page) is is_there


def test_rows_are_asked_for_again_only_while_something_goes_on(oscar, ask):
    execution = ask()
    assert 'hx-trigger="every 2s"' in text_of(oscar.browser.get("/executions/"))

    services.cancel_execution(actor=oscar.actor, execution=execution)
    part = oscar.browser.get("/executions/", headers=HTMX)

    assert "hx-trigger" not in text_of(part)
    assert "<html" not in text_of(part)
    assert "HX-Request" in part["Vary"]


def test_the_list_costs_the_same_however_many_executions_there_are(
    person, ask, django_assert_max_num_queries
):
    skill = make_skill()
    for _number in range(8):
        ask(skill)
    olivia = person("olivia").browser

    with django_assert_max_num_queries(11):
        olivia.get("/executions/")


def test_a_finished_execution_shows_result_log_and_files(oscar, run):
    page = text_of(oscar.browser.get(url(run(make_skill(code=FILES)))))

    assert "Succeeded" in page
    assert re.search(r'class="num">\s*3\s*</td>', page)
    assert "Lamp" in page
    assert "rows.csv" in page
    assert '<span class="log-err">' in page
    assert 'hx-trigger="every' not in page


def test_what_a_script_prints_is_never_markup(oscar, run):
    raw = oscar.browser.get(url(run(make_skill(code=FILES)))).content.decode()

    assert "<b>err</b>" not in raw
    assert "&lt;b&gt;err" in raw


def test_a_failed_execution_shows_why_and_can_be_retried(oscar, run):
    execution = run(make_skill(code=FAIL))
    page = text_of(oscar.browser.get(url(execution)))

    assert "No column named amount." in page
    assert "Traceback" in page
    response = oscar.browser.post(url(execution, "retry/"))

    again = Execution.objects.exclude(pk=execution.pk).get()
    assert response.url == url(again)
    assert again.retry_of == execution


def test_the_live_part_brings_only_what_is_new(oscar, ask):
    execution = lifecycle.claim_execution(actor=lifecycle.Actor.system("worker"), execution=ask())
    lifecycle.append_log(execution, seq=1, stream="stdout", text="first\n")
    page = text_of(oscar.browser.get(url(execution)))
    assert "after=1&seen=running" in page
    lifecycle.append_log(execution, seq=2, stream="stderr", text="second\n")
    lifecycle.note_progress(execution, fraction=0.4, message="reading")

    part = text_of(
        oscar.browser.get(url(execution, "live/"), {"after": "1", "seen": "running"}, headers=HTMX)
    )

    assert "second" in part
    assert "first" not in part
    assert "after=2" in part
    assert 'value="0.4"' in part
    assert "execution-facts" not in part


def test_the_live_part_swaps_the_page_when_the_state_changed_and_then_stops(oscar, run):
    execution = run(make_skill())

    part = text_of(
        oscar.browser.get(url(execution, "live/"), {"after": "0", "seen": "running"}, headers=HTMX)
    )

    assert 'id="execution-outcome" hx-swap-oob="true"' in part
    assert "Succeeded" in part
    assert 'hx-trigger="every' not in part


def test_a_nonsense_cursor_starts_at_the_beginning(oscar, run):
    part = oscar.browser.get(url(run(make_skill()), "live/"), {"after": "-1;x"}, headers=HTMX)

    assert "greeting" in text_of(part)


def test_log_and_result_can_be_downloaded(oscar, run):
    execution = run(make_skill())

    log = oscar.browser.get(url(execution, "log.txt"))
    result = oscar.browser.get(url(execution, "result.json"))

    assert "greeting you" in log.content.decode()
    assert log["Content-Disposition"].startswith("attachment")
    assert result.json() == {"greeting": "Hello, you!"}


def test_confirming_from_the_page_queues_it(oscar, ask):
    execution = ask(make_skill(manifest="confirm = true"))
    assert "Confirm and run" in text_of(oscar.browser.get(url(execution)))

    oscar.browser.post(url(execution, "confirm/"))

    execution.refresh_from_db()
    assert execution.status == Status.QUEUED


def test_an_approver_sees_decides_and_is_led_back(oscar, person, ask):
    execution = ask(make_skill(manifest='approval = "four_eyes"'))
    anna = person("anna").browser
    assert "you cannot approve what you asked for" in text_of(oscar.browser.get(url(execution)))
    assert "Your approval is asked for" in text_of(anna.get(url(execution)))

    response = anna.post(url(execution, "reject/"), {"reason": "Wrong amount."})

    assert response.url == url(execution)
    assert "Rejected" in text_of(anna.get(response.url))
    page = text_of(oscar.browser.get(url(execution)))
    assert "Rejected" in page
    assert "Wrong amount." in page


def test_a_rejection_needs_a_reason(person, ask):
    execution = ask(make_skill(manifest='approval = "four_eyes"'))

    person("anna").browser.post(url(execution, "reject/"), {"reason": " "})

    execution.refresh_from_db()
    assert execution.status == Status.AWAITING_APPROVAL


@pytest.mark.parametrize("act", ["confirm", "approve", "cancel", "retry"])
def test_an_act_that_does_not_fit_says_so_and_changes_nothing(oscar, run, act):
    execution = run(make_skill())

    response = oscar.browser.post(
        url(execution, f"{act}/"), headers={"referer": f"http://acme.localhost{url(execution)}"}
    )

    assert response.status_code == 303
    execution.refresh_from_db()
    assert execution.status == Status.SUCCEEDED


@pytest.mark.parametrize("act", ["confirm", "approve", "reject", "cancel", "retry"])
def test_what_is_not_visible_cannot_be_acted_on(person, ask, act):
    assert person("dana").browser.post(url(ask(), f"{act}/")).status_code == 404


@pytest.fixture
def artifact(run):
    execution = run(make_skill(code=FILES))
    return lambda name: Artifact.objects.get(execution=execution, name=name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rows.csv", "<td>&lt;i&gt;3&lt;/i&gt;</td>"),
        ("note.txt", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("page.html", "&lt;h1&gt;hi&lt;/h1&gt;"),
        ("data.bin", "There is no preview"),
        ("dot.png", "/image/"),
    ],
)
def test_previews_show_a_bounded_part_as_data(oscar, artifact, name, expected):
    response = oscar.browser.get(f"/executions/artifacts/{artifact(name).pk}/preview/")

    assert expected in response.content.decode()
    assert len(response.content) < 70_000


def test_only_real_images_are_shown_inline(oscar, artifact):
    image = oscar.browser.get(f"/executions/artifacts/{artifact('dot.png').pk}/image/")
    page = oscar.browser.get(f"/executions/artifacts/{artifact('page.html').pk}/image/")

    assert image["Content-Type"] == "image/png"
    assert "sandbox" in image["Content-Security-Policy"]
    assert page.status_code == 404


def test_files_are_downloaded_as_attachments_by_those_who_see_the_execution(
    oscar, person, artifact
):
    address = f"/executions/artifacts/{artifact('page.html').pk}/"

    response = oscar.browser.get(address)

    assert response["Content-Disposition"].startswith("attachment")
    assert b"".join(response.streaming_content) == b"<h1>hi</h1>"
    assert person("dana").browser.get(address).status_code == 404
    assert person("dana").browser.get(f"{address}preview/").status_code == 404
    assert oscar.browser.get(f"/executions/artifacts/{uuid4()}/").status_code == 404
