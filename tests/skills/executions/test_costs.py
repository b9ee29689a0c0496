"""Statements of the way every run takes: each of them is waited for."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from skills.executions import running
from tests.factories.skills import make_skill


@pytest.fixture
def oscar(acme, person):
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


def test_asking_for_a_run_looks_up_who_and_what_and_writes_row_and_event(oscar):
    answer, sent = statements(lambda: ask(oscar))

    assert answer.status_code == 201
    assert len(sent) == 7, "token with roles, skill, grant; begin, execution, event, commit"


def test_a_run_is_claimed_and_finished_by_one_statement_each_beside_its_event(oscar):
    execution = ask(oscar).json()["id"]

    _, sent = statements(lambda: running.run_execution(execution))

    updates = [sql for sql in sent if sql.startswith('UPDATE "executions_execution"')]
    assert len(updates) == 2
    assert len([sql for sql in sent if sql.startswith("SELECT")]) == 1
    assert len(sent) <= 11, "read; twice begin, update, event, commit; log"


def test_a_result_is_read_by_two_statements(oscar):
    execution = ask(oscar).json()["id"]
    running.run_execution(execution)

    answer, sent = statements(lambda: oscar.api.get(f"/api/v1/executions/{execution}?wait=5"))

    assert answer.json()["status"] == "succeeded"
    assert len(sent) == 2, "token with roles, execution"
