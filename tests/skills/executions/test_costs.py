"""Statements of the way every run takes: each of them is waited for."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from skills.catalogue import selectors
from skills.executions import running
from tenants.accounts import remembered
from tests.factories.skills import make_skill


@pytest.fixture
def oscar(acme, hosts_stay_known, person):
    make_skill()
    oscar = person("oscar")
    oscar.api.get("/api/v1/me")
    return oscar


def statements(call):
    with CaptureQueriesContext(connection) as captured:
        answer = call()
    # Savepoints stand for the transactions of real life, one statement each at both ends.
    return answer, [query["sql"] for query in captured.captured_queries]


def ask(oscar):
    body = {"skill": "greet", "inputs": {}}
    return oscar.api.post("/api/v1/executions", body, format="json")


def test_asking_for_a_run_takes_one_statement_each_for_who_what_and_the_act(oscar):
    ask(oscar)
    selectors._remembered.clear()
    remembered._remembered.clear()

    answer, sent = statements(lambda: ask(oscar))

    assert answer.status_code == 201
    assert len(sent) == 3, "token with roles; skill with grants; execution with event"


def test_who_ran_it_before_acts_in_one(oscar):
    ask(oscar)

    answer, sent = statements(lambda: ask(oscar))

    assert answer.status_code == 201
    assert len(sent) == 1, "execution with event, if login, skill and rules are as before"


def test_a_run_is_claimed_and_finished_by_one_statement_each_event_included(oscar):
    running.run_execution(ask(oscar).json()["id"])
    execution = ask(oscar).json()["id"]

    _, sent = statements(lambda: running.run_execution(execution))

    updates = [sql for sql in sent if "UPDATE executions_execution" in sql.replace('"', "")]
    assert len(updates) == 2
    assert all("core_auditevent" in sql for sql in updates)
    assert len(sent) <= 3, "claim, log, finish"


def test_a_result_is_read_by_two_statements(oscar):
    execution = ask(oscar).json()["id"]
    running.run_execution(execution)

    answer, sent = statements(lambda: oscar.api.get(f"/api/v1/executions/{execution}?wait=5"))

    assert answer.json()["status"] == "succeeded"
    assert len(sent) == 2, "token with roles, execution"
