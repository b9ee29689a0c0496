"""The HTTP API of a tenant: shapes, errors, and what one may not do."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from skills.executions import running
from skills.executions.models import Execution
from tests.conftest import PASSWORD
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
API = "/api/v1"


@pytest.fixture
def oscar(person):
    return person("oscar")


def post(who, path, body=None, **extra):
    return who.api.post(f"{API}/{path}", body or {}, format="json", **extra)


def get(who, path):
    return who.api.get(f"{API}/{path}")


class TestLogin:
    def login(self, username="oscar", password=PASSWORD, host="acme.localhost"):
        return Client(headers={"host": host}).post(
            f"{API}/auth/login",
            {"username": username, "password": password},
            content_type="application/json",
        )

    def test_it_gives_a_token_that_works_on_this_host(self):
        answer = self.login().json()

        me = Client(headers={"host": "acme.localhost"}).get(
            f"{API}/me", headers={"authorization": f"Bearer {answer['token']}"}
        )
        assert me.json() == {
            "username": "oscar",
            "display_name": "oscar",
            "roles": ["operator"],
            "tenant": {"name": "acme", "title": "Acme"},
        }

    def test_the_token_of_one_tenant_is_refused_on_every_other_host(self, globex):
        connection.set_schema_to_public()
        token = self.login().json()["token"]

        for host in ("globex.localhost", "admin.localhost", "localhost"):
            answer = Client(headers={"host": host}).get(
                f"{API}/me", headers={"authorization": f"Bearer {token}"}
            )
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")

    def test_a_wrong_password_and_an_unknown_user_look_alike(self):
        wrong, unknown = self.login(password="nope"), self.login(username="nobody")

        assert wrong.status_code == unknown.status_code == 401
        assert wrong.json() == unknown.json()

    def test_too_many_attempts_are_locked_out_even_with_the_right_password(self):
        for _ in range(8):
            self.login(username="dana", password="wrong")

        answer = self.login(username="dana")

        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
        assert "Too many" in answer.json()["message"]

    def test_a_login_forgets_the_failed_attempts_before_it(self):
        for _ in range(2):
            for _ in range(6):
                self.login(username="anna", password="wrong")
            assert self.login(username="anna").status_code == 200

    def test_logging_out_makes_the_token_useless(self, oscar):
        assert post(oscar, "auth/logout").status_code == 204
        assert get(oscar, "me").status_code == 401

    def test_an_inactive_account_is_out_at_once(self, oscar):
        oscar.account.is_active = False
        oscar.account.save()

        assert get(oscar, "me").status_code == 401


class TestSkills:
    def test_the_list_and_one_skill(self, oscar):
        make_skill()

        listed = get(oscar, "skills").json()
        one = get(oscar, "skills/greet").json()

        assert [skill["name"] for skill in listed["results"]] == ["greet"]
        assert listed["next"] is None
        assert one["input_schema"]["properties"]["name"]["default"] == "you"
        assert "main.py" not in str(one)

    def test_pages_follow_each_other(self, oscar):
        for number in range(3):
            make_skill(f"skill-{number}")

        first = get(oscar, "skills?limit=2").json()
        second = oscar.api.get(first["next"]).json()

        assert len(first["results"]) == 2
        assert [skill["name"] for skill in second["results"]] == ["skill-2"]

    def test_without_token_there_is_nothing(self):
        answer = Client(headers={"host": "acme.localhost"}).get(f"{API}/skills")

        assert answer.status_code == 401
        assert set(answer.json()) == {"code", "message", "fields"}


class TestExecutions:
    def test_submit_run_and_read_everything_back(self, oscar):
        make_skill()
        created = post(oscar, "executions", {"skill": "greet", "inputs": {"name": "Ada"}})
        assert (created.status_code, created.json()["status"]) == (201, "queued")
        path = f"executions/{created.json()['id']}"

        running.run_execution(created.json()["id"])

        done = get(oscar, path).json()
        log = get(oscar, f"{path}/log").json()
        assert (done["status"], done["output"]) == ("succeeded", {"greeting": "Hello, Ada!"})
        assert done["is_final"] is True
        assert "greeting Ada" in "".join(chunk["text"] for chunk in log["chunks"])
        assert log["final"] is True
        assert get(oscar, f"{path}/log?after={log['cursor']}").json()["chunks"] == []
        assert get(oscar, f"{path}/artifacts").json() == {"results": [], "next": None}

    def test_odd_characters_in_a_result_can_be_read_back(self, oscar, person):
        code = (
            "def main():\n"
            "    print('\\x1b[31m\\x00')\n"
            "    return {'a\\x00': ['\\ud800', '\\x00']}\n"
        )
        make_skill(code=code)
        created = post(oscar, "executions", {"skill": "greet"}).json()
        running.run_execution(created["id"])

        assert get(oscar, f"executions/{created['id']}").status_code == 200
        assert get(oscar, f"executions/{created['id']}/log").status_code == 200
        assert oscar.browser.get(f"/executions/{created['id']}/").status_code == 200
        assert get(oscar, f"executions/{created['id']}").json()["is_final"] is True

    def test_an_artifact_is_downloaded_as_an_attachment(self, oscar):
        code = (
            "import os, pathlib\n"
            "pathlib.Path(os.environ['EXECFABRIC_OUTPUT_DIR'], 'x.html').write_text('<b>hi</b>')\n"
        )
        make_skill(code=code)
        created = post(oscar, "executions", {"skill": "greet"}).json()
        running.run_execution(created["id"])

        (artifact,) = get(oscar, f"executions/{created['id']}/artifacts").json()["results"]
        content = get(oscar, f"artifacts/{artifact['id']}/content")

        assert b"".join(content.streaming_content) == b"<b>hi</b>"
        assert content["Content-Type"] == "application/octet-stream"
        assert "attachment" in content["Content-Disposition"]
        assert "sandbox" in content["Content-Security-Policy"]

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            ({"skill": "greet", "inputs": {"times": "x"}}, 400, "times"),
            ({"skill": "greet", "inputs": []}, 400, "inputs"),
            ({"skill": "greet", "version": 99}, 409, None),
            ({"skill": "nothing"}, 404, None),
            ({"inputs": {}}, 400, "skill"),
            ([], 400, ""),
            ("text", 400, ""),
        ],
    )
    def test_bad_requests_say_what_is_wrong(self, oscar, body, status, field):
        make_skill()

        answer = oscar.api.post(f"{API}/executions", body, format="json")

        assert answer.status_code == status
        assert answer.json()["message"]
        if field is not None:
            assert field in answer.json()["fields"]
        assert not Execution.objects.exists()

    @pytest.mark.parametrize(
        "raw",
        [
            b"{",
            b"\xff\xfe",
            b'{"skill": "greet", "inputs": {"name": "\\ud800"}}',
            b'{"skill":"greet","inputs":{"name":NaN}}',
        ],
    )
    def test_broken_json_is_a_400(self, oscar, raw):
        make_skill()

        answer = oscar.api.generic(
            "POST", f"{API}/executions", raw, content_type="application/json"
        )

        assert answer.status_code == 400
        assert answer.json()["code"]

    def test_an_oversized_body_is_a_413(self, oscar):
        body = b'{"skill":"greet","inputs":{"name":"' + b"x" * 3_000_000 + b'"}}'

        answer = oscar.api.generic(
            "POST", f"{API}/executions", body, content_type="application/json"
        )

        assert answer.status_code == 413

    def test_the_idempotency_key_header(self, oscar):
        make_skill()
        key = {"HTTP_IDEMPOTENCY_KEY": "abc"}

        first = post(oscar, "executions", {"skill": "greet"}, **key)
        again = post(oscar, "executions", {"skill": "greet"}, **key)
        other = post(oscar, "executions", {"skill": "greet", "inputs": {"name": "E"}}, **key)

        assert first.json()["id"] == again.json()["id"]
        assert other.status_code == 409

    def test_confirm_and_cancel(self, oscar):
        make_skill(manifest="confirm = true")
        created = post(oscar, "executions", {"skill": "greet"}).json()
        assert created["requires_confirmation"] is True

        confirmed = post(oscar, f"executions/{created['id']}/confirm")
        cancelled = post(oscar, f"executions/{created['id']}/cancel")
        again = post(oscar, f"executions/{created['id']}/confirm")

        assert confirmed.json()["status"] == "queued"
        assert cancelled.json()["status"] == "cancelled"
        assert again.status_code == 409

    def test_approve_reject_and_retry(self, oscar, person):
        anna = person("anna")
        make_skill(manifest='approval = "four_eyes"')
        created = post(oscar, "executions", {"skill": "greet"}).json()

        assert post(oscar, f"executions/{created['id']}/approve").status_code == 403
        no_reason = post(anna, f"executions/{created['id']}/reject")
        rejected = post(anna, f"executions/{created['id']}/reject", {"reason": "Not today"})
        retried = post(oscar, f"executions/{created['id']}/retry")
        approved = post(anna, f"executions/{retried.json()['id']}/approve")

        assert no_reason.status_code == 400
        assert rejected.json()["status"] == "rejected"
        assert rejected.json()["rejection"] == "Not today"
        assert (retried.status_code, retried.json()["status"]) == (201, "awaiting_approval")
        assert approved.json()["status"] == "queued"

    def test_another_person_s_execution_is_not_there(self, oscar, person):
        make_skill()
        created = post(oscar, "executions", {"skill": "greet"}).json()
        dana = person("dana")

        assert get(dana, f"executions/{created['id']}").status_code == 404
        assert get(dana, f"executions/{created['id']}/log").status_code == 404
        assert post(dana, f"executions/{created['id']}/cancel").status_code == 404
        assert get(dana, "executions").json()["results"] == []

    def test_listing_costs_the_same_for_few_and_many(self, oscar, django_assert_max_num_queries):
        make_skill()
        for _ in range(8):
            post(oscar, "executions", {"skill": "greet"})

        with django_assert_max_num_queries(6):
            assert len(get(oscar, "executions?skill=greet&status=queued").json()["results"]) == 8

    def test_malformed_ids_and_addresses_are_json_404s(self, oscar):
        for path in ("executions/1", "executions/x/log", "nothing/here", "tenants", "skills/é"):
            answer = get(oscar, path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


class TestWaiting:
    """The wait is woken by Redis; a change announced elsewhere ends it at once."""

    def test_it_returns_when_the_execution_is_over(self, oscar):
        make_skill()
        created = post(oscar, "executions", {"skill": "greet"}).json()
        execution = Execution.objects.get(pk=created["id"])

        started = time.monotonic()
        threading.Timer(0.5, self.wake, [execution.topic]).start()
        Execution.objects.filter(pk=execution.pk).update(
            status="cancelled", finished_at=timezone.now() + timedelta(0)
        )
        seen = get(oscar, f"executions/{execution.pk}?wait=20").json()

        assert seen["status"] == "cancelled"
        assert time.monotonic() - started < 5

    def wake(self, topic):
        from execfabric.core.redis import client

        client().publish(f"execfabric:wake:tenant_1001:{topic}", "1")

    def test_asking_for_a_run_can_wait_for_its_result(self, oscar):
        make_skill()
        # Nobody runs it here; the wait ends and tells how far it is.
        started = time.monotonic()
        seen = post(oscar, "executions?wait=0.5", {"skill": "greet"})

        assert (seen.status_code, seen.json()["status"]) == (201, "queued")
        assert time.monotonic() - started >= 0.5

    def test_asking_does_not_wait_for_a_person(self, oscar):
        make_skill(manifest="confirm = true")

        started = time.monotonic()
        seen = post(oscar, "executions?wait=20", {"skill": "greet"})

        assert seen.json()["status"] == "awaiting_confirmation"
        assert time.monotonic() - started < 5

    def test_it_returns_at_once_when_a_person_must_act(self, oscar):
        make_skill(manifest="confirm = true")
        created = post(oscar, "executions", {"skill": "greet"}).json()

        started = time.monotonic()
        seen = get(oscar, f"executions/{created['id']}?wait=20").json()

        assert seen["status"] == "awaiting_confirmation"
        assert time.monotonic() - started < 5

    def test_it_gives_up_after_the_time_asked_for(self, oscar):
        make_skill()
        created = post(oscar, "executions", {"skill": "greet"}).json()

        started = time.monotonic()
        seen = get(oscar, f"executions/{created['id']}?wait=0.5").json()

        assert seen["status"] == "queued"
        assert 0.4 < time.monotonic() - started < 5

    @pytest.mark.parametrize("wait", ["-1", "nan", "abc", ""])
    def test_nonsense_does_not_wait(self, oscar, wait):
        make_skill()
        created = post(oscar, "executions", {"skill": "greet"}).json()

        started = time.monotonic()
        assert get(oscar, f"executions/{created['id']}?wait={wait}").status_code == 200
        assert time.monotonic() - started < 2


class TestFiles:
    def upload(self, who, name="orders.csv", content=b"a,b\n"):
        return who.api.post(
            f"{API}/files", {"file": SimpleUploadedFile(name, content)}, format="multipart"
        )

    def test_an_upload_is_answered_with_its_id_and_digest(self, oscar):
        answer = self.upload(oscar)

        assert answer.status_code == 201
        assert answer.json()["name"] == "orders.csv"
        assert answer.json()["size_bytes"] == 4

    def test_an_empty_file_is_a_file(self, oscar):
        assert self.upload(oscar, content=b"").status_code == 201

    def test_one_that_is_too_large_is_a_413(self, oscar, settings):
        settings.UPLOAD_BYTES = 10

        answer = self.upload(oscar, content=b"x" * 11)

        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    def test_a_viewer_cannot_upload(self, person):
        assert self.upload(person("victor")).status_code == 403

    def test_a_request_without_a_file_is_a_400(self, oscar):
        answer = oscar.api.post(f"{API}/files", {}, format="multipart")

        assert answer.status_code == 400
        assert "file" in answer.json()["fields"]


def test_the_api_knows_no_cookies(oscar):
    """A browser's session is no way in, so a foreign page cannot call the API for its user."""
    assert oscar.browser.get("/api/v1/skills").status_code == 401


def test_the_command_line_program_is_told_apart_in_the_trail_and_gains_nothing(oscar):
    make_skill()
    make_skill("closed", manifest="manual = false")
    says = {"HTTP_USER_AGENT": "execfabric-cli/0.1.0"}

    created = post(oscar, "executions", {"skill": "greet"}, **says).json()

    assert Execution.objects.get(pk=created["id"]).door == "cli"
    assert post(oscar, "executions", {"skill": "closed"}, **says).status_code == 403
