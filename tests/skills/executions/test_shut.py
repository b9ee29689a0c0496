"""A run whose tenant is suspended while it goes on."""

from __future__ import annotations

import pytest
from django.db import connection
from django_tenants.utils import schema_context

from skills.executions import running
from skills.executions.heartbeat import Heartbeat
from skills.executions.models import Execution
from skills.executions.services import request_execution
from skills.executions.states import Status
from tenants.registry import hosts
from tenants.registry.models import Tenant, TenantStatus
from tests.factories.skills import make_skill

SLEEPS = """
import time

def main():
    time.sleep(30)
"""


@pytest.mark.usefixtures("acme")
def test_it_ends_as_cancelled_and_says_why(person, monkeypatch):
    skill = make_skill(code=SLEEPS)
    execution = request_execution(actor=person("oscar").actor, skill=skill, inputs={})
    # The threads of a heartbeat do not see this test's transaction.
    heartbeat = Heartbeat(lambda _execution: True, is_open=lambda _schema: False, every_s=0.05)
    heartbeat.start()

    running.run_execution(execution.pk, heartbeat)

    heartbeat.stop()
    ended = Execution.objects.get(pk=execution.pk)
    assert ended.status == Status.CANCELLED
    assert "suspended or closed" in ended.error


def test_a_schema_is_open_until_its_tenant_is_not(acme):
    schema = acme.schema_name
    hosts._this_process_cache().forget()
    assert hosts.schema_is_open(schema)
    assert not hosts.schema_is_open("tenant_9999")
    assert connection.schema_name == schema

    with schema_context("public"):
        Tenant.objects.filter(pk=acme.pk).update(status=TenantStatus.SUSPENDED)
    hosts._this_process_cache().forget()

    assert not hosts.schema_is_open(schema)
