"""The executions' pages: the list, one execution as it goes on, its result and files."""

from __future__ import annotations

import html
import re
from io import BytesIO
from uuid import uuid4

import pytest

from skills.executions import lifecycle, running, services
from skills.executions.models import Artifact, Execution
from skills.executions.presentation import number_texts
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
    worker = lifecycle.Actor.system("worker")
    execution = lifecycle.claim_execution(actor=worker, execution_id=ask().pk)
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
    assert "hx-trigger=" not in part


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


FILE_INPUT = '[inputs.orders]\ntype = "string"\nformat = "file"\n'


def upload(who, name, content=b"name;amount\nLamp;<i>3</i>\n"):
    return services.upload_file(actor=who.actor, name=name, content=BytesIO(content))


@pytest.fixture
def given(oscar, ask):
    """An execution that waits for an approval, with one input file; its name can be chosen."""

    def request(name="orders.csv", **sent):
        skill = make_skill(
            code="def main(orders):\n    return 1\n",
            manifest='approval = "four_eyes"',
            inputs=FILE_INPUT,
        )
        file = upload(oscar, name, **sent)
        return ask(skill, orders=str(file.pk)), file

    return request


def test_who_decides_can_read_the_input_file(person, given):
    execution, file = given()
    anna = person("anna").browser
    address = url(execution, f"inputs/{file.pk}/")
    page = text_of(anna.get(url(execution)))
    assert f'href="{address}"' in page
    assert f'hx-get="{address}preview/"' in page

    download, preview = anna.get(address), anna.get(f"{address}preview/")

    assert b"".join(download.streaming_content) == b"name;amount\nLamp;<i>3</i>\n"
    assert download["Content-Disposition"] == 'attachment; filename="orders.csv"'
    assert download["Content-Type"] == "application/octet-stream"
    assert "sandbox" in download["Content-Security-Policy"]
    assert "<td>&lt;i&gt;3&lt;/i&gt;</td>" in preview.content.decode()


@pytest.mark.parametrize("page", ["", "preview/", "image/"])
def test_input_files_follow_their_execution_and_no_other_file_does(oscar, person, given, page):
    execution, file = given("dot.png")
    other = upload(oscar, "other.png")

    assert oscar.browser.get(url(execution, f"inputs/{file.pk}/{page}")).status_code == 200
    assert person("dana").browser.get(url(execution, f"inputs/{file.pk}/{page}")).status_code == 404
    for one in (other.pk, uuid4()):
        assert oscar.browser.get(url(execution, f"inputs/{one}/{page}")).status_code == 404


def test_an_input_is_shown_inline_only_as_an_image(oscar, given):
    execution, file = given("page.html", content=b"<script>alert(1)</script>")

    assert oscar.browser.get(url(execution, f"inputs/{file.pk}/image/")).status_code == 404
    preview = oscar.browser.get(url(execution, f"inputs/{file.pk}/preview/")).content.decode()
    assert "&lt;script&gt;" in preview
    assert "<script" not in preview


def test_times_say_their_zone(oscar, run):
    execution = run(make_skill())
    page = text_of(oscar.browser.get(url(execution)))

    shown = execution.started_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    assert f'title="{execution.started_at.isoformat()}">{shown}</time>' in page


def test_the_door_has_the_same_name_on_the_execution_and_in_the_trail(person, ask):
    ask()
    olivia = person("olivia").browser

    assert "<dd>API</dd>" in text_of(olivia.get(url(Execution.objects.get())))
    trail = text_of(olivia.get("/audit/"))
    assert "<dd>API</dd>" in trail
    assert "<dd>Operator</dd>" in trail


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("total", [1674.6, 904, None], ["1,674.6", "904.0", "–"]),
        ("total", [0.1 + 0.2, 1.25], ["0.3000", "1.2500"]),
        ("count", [6, 9999], ["6", "9999"]),
        ("count", [6, 12345], ["6", "12,345"]),
        ("order_id", [123456], ["123456"]),
        ("share", [1e-9, 0.5], ["1e-09", "0.5"]),
        ("atoms", [10**400, 1.5], [str(10**400), "1.5"]),
        ("change", [-1234.5], ["-1,234.5"]),
    ],
)
def test_the_numbers_of_a_column_are_written_alike(name, values, shown):
    assert number_texts(name, values) == shown
