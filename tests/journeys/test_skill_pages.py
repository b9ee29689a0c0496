"""The catalogue's pages: what is listed, and running a skill from its form."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from execfabric.core.storage import delete_file
from skills.catalogue.models import SkillGrant
from skills.executions import services
from skills.executions.models import Execution, StoredFile
from skills.executions.states import Status
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
FILE_INPUTS = """
[inputs.orders]
type = "string"
format = "file"
title = "Orders"
[inputs.limit]
type = "integer"
minimum = 1
default = 5
"""
READ_FILE = "def main(orders, limit):\n    return 1\n"


@pytest.fixture
def oscar(person):
    return person("oscar")


def text_of(response) -> str:
    return response.content.decode()


def test_the_list_shows_what_the_actor_may_see_and_nothing_else(oscar):
    make_skill("greet", manifest='title = "Greet somebody"')
    make_skill("secret", manifest='title = "Hidden one"')
    SkillGrant.objects.filter(skill__name="secret").delete()

    page = text_of(oscar.browser.get("/skills/"))

    assert "Greet somebody" in page
    assert "Hidden one" not in page
    assert oscar.browser.get("/skills/secret/").status_code == 404


def test_the_list_is_searched_by_words_and_tag(oscar):
    make_skill("one", manifest='title = "Merge tables"\ntags = ["data"]')
    make_skill("two", manifest='title = "Send letters"\ntags = ["mail"]')

    by_word = text_of(oscar.browser.get("/skills/", {"q": "merge"}))
    by_tag = text_of(oscar.browser.get("/skills/", {"tag": "mail"}))

    assert "Merge tables" in by_word
    assert "Send letters" not in by_word
    assert "Send letters" in by_tag
    assert "Merge tables" not in by_tag
    assert "No skill fits" in text_of(oscar.browser.get("/skills/", {"q": "nothing like it"}))


def test_the_list_costs_the_same_however_many_skills_there_are(
    oscar, django_assert_max_num_queries
):
    for number in range(6):
        make_skill(f"skill-{number}")

    with django_assert_max_num_queries(10):
        oscar.browser.get("/skills/")


def test_an_empty_list_says_what_to_do(oscar, person):
    assert "No skills for you yet" in text_of(oscar.browser.get("/skills/"))
    assert "operator adds skills" in text_of(person("olivia").browser.get("/skills/"))


def test_running_from_the_form_leads_to_the_execution(oscar):
    make_skill()

    response = oscar.browser.post("/skills/greet/", {"input-name": "Ada", "input-times": "2"})

    execution = Execution.objects.get()
    assert response.status_code == 302
    assert response.url == f"/executions/{execution.pk}/"
    assert (execution.status, execution.door) == (Status.QUEUED, "page")
    assert execution.inputs == {"name": "Ada", "times": 2}


def test_an_uploaded_file_becomes_an_input(oscar):
    make_skill("count", READ_FILE, inputs=FILE_INPUTS)
    orders = SimpleUploadedFile("orders.csv", b"a,b\n1,2\n")

    response = oscar.browser.post("/skills/count/", {"input-orders": orders, "input-limit": "3"})

    assert response.status_code == 302
    stored = StoredFile.objects.get()
    assert (stored.name, stored.size_bytes) == ("orders.csv", 8)
    assert Execution.objects.get().inputs == {"orders": str(stored.pk), "limit": 3}


def test_a_file_field_says_how_large_a_file_may_be(oscar):
    make_skill("count", READ_FILE, inputs=FILE_INPUTS)

    page = text_of(oscar.browser.get("/skills/count/"))

    assert "At most 100 MiB." in page
    assert 'data-most-bytes="104857600"' in page


@pytest.mark.parametrize("checks_csrf", [True, False])
def test_a_file_that_is_too_large_is_a_413_that_names_the_limit(oscar, settings, checks_csrf):
    make_skill("count", READ_FILE, inputs=FILE_INPUTS)
    oscar.browser.get("/skills/count/")  # It sets the cookie of the CSRF check.
    oscar.browser.handler.enforce_csrf_checks = checks_csrf
    settings.UPLOAD_BYTES = 2048

    response = oscar.browser.post(
        "/skills/count/", {"input-orders": SimpleUploadedFile("a.csv", b"x" * 2049)}
    )

    assert response.status_code == 413
    assert "A file may have 2.0 KiB at most" in text_of(response)
    assert not StoredFile.objects.exists()


@pytest.fixture
def earlier(oscar):
    """An execution of oscar that was given the file orders.csv."""
    skill = make_skill("count", READ_FILE, inputs=FILE_INPUTS)
    stored = upload(oscar, "orders.csv")
    return services.request_execution(
        actor=oscar.actor, skill=skill, inputs={"orders": str(stored.pk), "limit": 3}
    )


def upload(who, name, content=b"a,b\n"):
    return services.upload_file(actor=who.actor, name=name, content=BytesIO(content))


def test_the_file_of_an_earlier_execution_is_used_again(oscar, earlier):
    page = text_of(oscar.browser.get("/skills/count/", {"from": str(earlier.pk)}))
    assert "Use orders.csv again" in page

    response = oscar.browser.post(
        "/skills/count/", {"kept-orders": earlier.inputs["orders"], "input-limit": "9"}
    )

    assert response.status_code == 302
    again = Execution.objects.exclude(pk=earlier.pk).get()
    assert again.inputs == {"orders": earlier.inputs["orders"], "limit": 9}


def test_a_new_file_takes_the_place_of_the_earlier_one(oscar, earlier):
    new = SimpleUploadedFile("new.csv", b"c\n")

    oscar.browser.post(
        "/skills/count/", {"kept-orders": earlier.inputs["orders"], "input-orders": new}
    )

    again = Execution.objects.exclude(pk=earlier.pk).get()
    assert again.inputs["orders"] == str(StoredFile.objects.get(name="new.csv").pk)


def test_new_files_are_added_to_earlier_ones_where_several_are_accepted(oscar):
    several = '[inputs.parts]\ntype = "array"\nitems = { type = "string", format = "file" }\n'
    make_skill("join", "def main(parts):\n    return 1\n", inputs=several)
    stored = upload(oscar, "one.csv")

    oscar.browser.post(
        "/skills/join/",
        {"kept-parts": str(stored.pk), "input-parts": [SimpleUploadedFile("two.csv", b"2")]},
    )

    two = StoredFile.objects.get(name="two.csv")
    assert Execution.objects.get().inputs == {"parts": [str(stored.pk), str(two.pk)]}


def test_the_choice_of_an_earlier_file_survives_an_error_elsewhere(oscar, earlier):
    response = oscar.browser.post(
        "/skills/count/", {"kept-orders": earlier.inputs["orders"], "input-limit": "0"}
    )

    assert response.status_code == 422
    assert "Use orders.csv again" in text_of(response)


def test_nobody_uses_the_file_of_somebody_else_again(oscar, person, earlier):
    olivia = person("olivia").browser
    page = text_of(olivia.get("/skills/count/", {"from": str(earlier.pk)}))
    assert "Use orders.csv again" not in page
    assert "Choose the file again: orders.csv" in page

    for chosen in (earlier.inputs["orders"], "nonsense"):
        response = olivia.post("/skills/count/", {"kept-orders": chosen, "input-limit": "1"})
        assert response.status_code == 422
        assert 'id="id_input-orders_error"' in text_of(response)
        assert "Use orders.csv again" not in text_of(response)
    assert Execution.objects.get() == earlier


@pytest.mark.parametrize(
    ("sent", "message"),
    [({"input-times": "many"}, "whole number"), ({"input-name": "x", "input-times": ""}, "")],
)
def test_wrong_inputs_come_back_beside_their_fields(oscar, sent, message):
    make_skill(
        inputs='[inputs.times]\ntype = "integer"\n[inputs.name]\ntype = "string"\ndefault=""'
    )

    response = oscar.browser.post("/skills/greet/", sent)

    assert response.status_code == 422
    assert 'aria-invalid="true"' in text_of(response)
    assert message in text_of(response)
    assert not Execution.objects.exists()


def test_what_only_the_schema_knows_is_shown_beside_the_field_too(oscar):
    make_skill(inputs='[inputs.name]\ntype = "string"\npattern = "^A"\n')

    response = oscar.browser.post("/skills/greet/", {"input-name": "Bob"})

    assert response.status_code == 422
    assert 'id="id_input-name_error"' in text_of(response)


def test_a_viewer_is_told_why_there_is_no_form(person):
    make_skill()
    victor = person("victor").browser

    page = text_of(victor.get("/skills/greet/"))

    assert "may see this skill, but not run it" in page
    assert 'name="input-name"' not in page
    assert victor.post("/skills/greet/", {"input-name": "x"}).status_code == 403
    assert not Execution.objects.exists()


def test_a_skill_closed_for_manual_execution_has_no_form(oscar):
    make_skill(manifest="manual = false")

    assert "not open for manual execution" in text_of(oscar.browser.get("/skills/greet/"))


@pytest.mark.parametrize(
    ("manifest", "note"),
    [
        ("", "It starts at once."),
        ("confirm = true", "see your inputs again and confirm"),
        ('approval = "four_eyes"', "Somebody else must approve it"),
        ('risk = "high"\napproval = "four_eyes"', "You confirm once more"),
    ],
)
def test_the_form_says_what_will_happen(oscar, manifest, note):
    make_skill(manifest=manifest)

    assert note in text_of(oscar.browser.get("/skills/greet/"))


def test_the_form_can_start_from_an_earlier_execution(oscar):
    skill = make_skill(inputs='[inputs.name]\ntype = "string"\n')
    earlier = services.request_execution(
        actor=oscar.actor, skill=skill, inputs={"name": "Grace Hopper"}
    )

    page = text_of(oscar.browser.get("/skills/greet/", {"from": str(earlier.pk)}))

    assert 'value="Grace Hopper"' in page
    assert "Grace" not in text_of(oscar.browser.get("/skills/greet/", {"from": "nonsense"}))


def test_somebody_elses_inputs_are_not_offered(oscar, person):
    skill = make_skill(inputs='[inputs.name]\ntype = "string"\n')
    earlier = services.request_execution(
        actor=oscar.actor, skill=skill, inputs={"name": "Grace Hopper"}
    )

    page = text_of(person("dana").browser.get("/skills/greet/", {"from": str(earlier.pk)}))

    assert "Grace" not in page


def test_the_readme_is_shown_without_its_scripts(oscar):
    make_skill(**{"README.md": "# Hi\n\n<script>alert(1)</script> **bold**\n"})

    page = text_of(oscar.browser.get("/skills/greet/"))

    assert "<strong>bold</strong>" in page
    assert "<script>alert" not in page


SAMPLES = {"samples/sales.csv": "a,b\n1,2\n", "samples/more/x y.txt": "x", "secret.txt": "no"}


def test_samples_of_a_skill_are_downloaded_from_its_page(oscar):
    make_skill(**SAMPLES)
    page = text_of(oscar.browser.get("/skills/greet/"))
    assert 'href="/skills/greet/samples/sales.csv"' in page
    assert 'href="/skills/greet/samples/more/x%20y.txt"' in page

    response = oscar.browser.get("/skills/greet/samples/sales.csv")

    assert b"".join(response.streaming_content) == b"a,b\n1,2\n"
    assert response["Content-Disposition"] == 'attachment; filename="sales.csv"'
    assert "sandbox" in response["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["none.csv", "../main.py", "..%2Fmain.py", "secret.txt", "samples/sales.csv", "more"]
)
def test_nothing_else_of_a_bundle_can_be_downloaded(oscar, path):
    make_skill(**SAMPLES)

    assert oscar.browser.get(f"/skills/greet/samples/{path}").status_code == 404


def test_samples_are_for_those_who_see_the_skill(oscar):
    make_skill(**SAMPLES)
    SkillGrant.objects.all().delete()

    assert oscar.browser.get("/skills/greet/samples/sales.csv").status_code == 404


def test_a_skill_without_samples_offers_none(oscar):
    make_skill()

    assert "Sample files" not in text_of(oscar.browser.get("/skills/greet/"))


def test_a_bundle_that_is_gone_does_not_break_the_page(oscar):
    skill = make_skill(**SAMPLES, **{"only.txt": "here"})
    assert skill.version is not None
    delete_file(skill.version.script_version.stored_as)

    assert oscar.browser.get("/skills/greet/").status_code == 200
    assert oscar.browser.get("/skills/greet/samples/sales.csv").status_code == 404
