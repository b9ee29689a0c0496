"""The run queue: whose turn it is, what is lost and found again, and concurrency limits."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
import redis
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import InvalidTransition
from execfabric.core.models import AuditEvent
from skills.executions import lifecycle, moves, queue, running, scanning, services
from skills.executions.models import Execution
from skills.executions.states import Status
from tenants.registry.models import Tenant
from tests.factories.skills import make_skill

OLD = timedelta(minutes=1)


@pytest.fixture
def label(settings):
    """A queue of this test's own, empty before and after."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    for key in queue.client().scan_iter(f"{queue._PREFIX}:*:{name}*"):
        queue.client().delete(key)


@pytest.fixture
def send(acme, globex, label, django_capture_on_commit_callbacks):
    """Queue ids for a tenant, as after a commit."""

    def send_for(tenant, *ids):
        with schema_context(tenant.schema_name), django_capture_on_commit_callbacks(execute=True):
            queue.send(ids, queue=label)

    return send_for


def taken(label, count):
    turns = [queue.take([label], timeout_s=0.01) for _ in range(count)]
    return [turn and turn.execution_id for turn in turns]


class Fixed(threading.Event):
    """Stands in for what a process believes of the queue: that it has more, or that it has not."""

    def set(self):
        """Believe no other."""

    def clear(self):
        """Believe no other."""


@pytest.fixture(params=[True, False], ids=["with-more", "without-more"])
def belief(request, monkeypatch):
    fixed = Fixed()
    fixed._flag = request.param
    monkeypatch.setattr(queue, "_has_more", fixed)


@pytest.mark.usefixtures("belief")
class TestTurns:
    def test_the_ids_of_a_tenant_come_in_order_and_once(self, send, acme, label):
        send(acme, "1", "2")
        send(acme, "3")

        assert taken(label, 4) == ["1", "2", "3", None]

    def test_a_turn_names_its_tenant(self, send, acme, label):
        send(acme, "1")

        assert queue.take([label], timeout_s=1) == queue.Turn(acme.schema_name, "1", label)

    def test_a_tenant_that_comes_after_many_is_next(self, send, acme, globex, label):
        send(acme, *(f"a{n}" for n in range(5000)))
        assert taken(label, 3) == ["a0", "a1", "a2"]

        send(globex, "g")

        assert "g" in taken(label, 2)

    def test_tenants_with_much_to_do_take_turns(self, send, acme, globex, label):
        send(acme, *(f"a{n}" for n in range(9)))
        send(globex, *(f"g{n}" for n in range(9)))

        assert sum(each.startswith("a") for each in taken(label, 8)) in {3, 4, 5}

    def test_who_always_comes_back_cannot_keep_another_waiting_for_ever(
        self, send, acme, globex, label, monkeypatch
    ):
        monkeypatch.setattr(queue, "HEAD_START_S", 0.0)
        send(acme, "a0", "a1")
        taken(label, 1)

        send(globex, "g0")
        assert taken(label, 1) == ["a1"]

    def test_a_worker_serves_its_own_labels_only(self, send, acme, label):
        send(acme, "1")

        assert queue.take(["elsewhere-entirely"], timeout_s=0.01) is None
        assert queue.take(["elsewhere-entirely", label], timeout_s=1) is not None

    def test_a_turn_that_is_given_back_is_the_next_again(self, send, acme, label):
        send(acme, "1", "2")
        turn = queue.take([label], timeout_s=1)

        queue.give_back(turn)

        assert taken(label, 3) == ["1", "2", None]

    def test_a_tenant_with_nothing_else_to_do_comes_back_with_it(self, send, acme, label):
        send(acme, "1")
        turn = queue.take([label], timeout_s=1)

        queue.give_back(turn)

        assert taken(label, 2) == ["1", None]

    def test_a_full_label_keeps_no_other_label_of_the_worker_waiting(
        self, acme, label, django_capture_on_commit_callbacks
    ):
        labels = [f"{label}-{name}" for name in ("full", "small", "empty")]
        with django_capture_on_commit_callbacks(execute=True):
            queue.send([f"a{n}" for n in range(20)], queue=labels[0])
            queue.send(["b"], queue=labels[1])

        turns = [queue.take(labels, timeout_s=1) for _ in labels]

        assert "b" in [turn.execution_id for turn in turns]

    def test_nothing_is_sent_when_the_transaction_is_undone(self, acme, label):
        queue.send(["1"], queue=label)  # The test's transaction never commits.

        assert taken(label, 1) == [None]


def test_what_is_known_to_wait_is_taken_by_one_message(send, acme, label, monkeypatch):
    send(acme, "1", "2")
    assert taken(label, 3) == ["1", "2", None]  # From now on the broker knows the scripts.
    send(acme, "3", "4")
    ask, asked = queue.ask, []

    def ask_noted(*commands):
        asked.extend(command[0] for command in commands)
        return ask(*commands)

    monkeypatch.setattr(queue, "ask", ask_noted)

    assert taken(label, 2) == ["3", "4"]

    assert asked == ["BZPOPMIN", "EVALSHA", "EVALSHA"]


def test_who_takes_says_so_before_it_waits(send, acme, label):
    waits = []

    def take():
        return queue.take([label], timeout_s=0.01, before_wait=lambda: waits.append(True))

    send(acme, "1", "2", "3")
    turns = [take().execution_id for _ in range(3)]

    assert turns == ["1", "2", "3"]
    assert len(waits) == 1, "only the first did not know that there was one"
    assert not queue.has_more()
    assert take() is None
    assert len(waits) == 2


class BrokerThatRestarts:
    """Stands in for the way to the broker: refuses the first calls, then hands over to the real."""

    def __init__(self, real, refusals):
        self.real, self.refusals = real, iter(range(refusals))

    def __call__(self, *commands):
        if next(self.refusals, None) is not None:
            raise redis.ConnectionError("starting")
        return self.real(*commands)


class TestABrokerThatIsAway:
    def test_one_that_restarts_gets_what_was_sent_meanwhile(self, send, acme, label, monkeypatch):
        monkeypatch.setattr(queue, "PAUSES_S", (0, 0))
        monkeypatch.setattr(queue, "ask", BrokerThatRestarts(queue.ask, 2))

        send(acme, "1")

        assert taken(label, 1) == ["1"]

    def test_one_that_stays_away_is_no_error(self, send, acme, label, monkeypatch):
        monkeypatch.setattr(queue, "PAUSES_S", (0, 0))
        monkeypatch.setattr(queue, "ask", BrokerThatRestarts(queue.ask, 3))

        send(acme, "1")

        assert taken(label, 1) == [None]

    def test_one_that_forgot_its_scripts_is_told_them_again(self, send, acme, label):
        send(acme, "1", "2")
        assert taken(label, 1) == ["1"]
        queue.client().script_flush()

        assert taken(label, 1) == ["2"]


class TestLostMessages:
    def test_what_does_not_wait_is_named(self, send, acme, label):
        send(acme, "1", "3")

        with schema_context(acme.schema_name):
            assert queue.missing(["1", "2", "3"], queue=label) == ["2"]

    def test_a_tenant_that_fell_out_of_the_ring_comes_back(self, send, acme, label):
        send(acme, "1")
        queue.client().delete(queue._ring(label))  # A worker died between two commands.
        assert taken(label, 1) == [None]

        with schema_context(acme.schema_name):
            queue.missing([], queue=label)

        assert taken(label, 1) == ["1"]


@pytest.fixture
def ask(acme, person):
    oscar = person("oscar").actor

    def request(skill):
        return services.request_execution(actor=oscar, skill=skill, inputs={})

    return request


@pytest.fixture
def sent(monkeypatch):
    """What is handed to the workers, as it happens."""
    ids = []
    monkeypatch.setattr(queue, "send", lambda some, queue, **_how: ids.extend(some))
    return ids


class TestForgotten:
    def age(self, execution, *, by):
        Execution.objects.filter(pk=execution.pk).update(sent_at=timezone.now() - by)

    def test_a_queued_run_that_waits_nowhere_is_sent_again(self, ask, sent):
        execution = ask(make_skill())
        self.age(execution, by=OLD)
        sent.clear()

        scanning.scan_executions(timezone.now())

        assert sent == [str(execution.pk)]
        execution.refresh_from_db()
        assert execution.sent_at > timezone.now() - OLD

    def test_one_that_was_just_sent_is_not(self, ask, sent):
        ask(make_skill())
        sent.clear()

        scanning.scan_executions(timezone.now())

        assert sent == []

    def test_one_that_waits_behind_others_is_not(self, ask, sent, monkeypatch):
        self.age(ask(make_skill()), by=OLD)
        sent.clear()
        monkeypatch.setattr(queue, "missing", lambda _ids, queue: [])

        scanning.scan_executions(timezone.now())

        assert sent == []

    def test_what_waits_under_one_label_hides_nothing_of_another(self, ask, sent, monkeypatch):
        monkeypatch.setattr(moves, "MOST_RESENT", 2)
        unserved = make_skill("unserved", manifest='queue = "nobody"')
        for _ in range(3):
            self.age(ask(unserved), by=OLD)
        forgotten = ask(make_skill())
        self.age(forgotten, by=OLD)
        sent.clear()
        monkeypatch.setattr(
            queue, "missing", lambda ids, queue: [] if queue == "nobody" else list(ids)
        )

        scanning.scan_executions(timezone.now())

        assert sent == [str(forgotten.pk)]

    def test_many_are_sent_together_and_a_queue_that_is_away_is_not_waited_for(
        self, ask, monkeypatch, django_assert_num_queries, django_capture_on_commit_callbacks
    ):
        skill = make_skill()
        for _ in range(20):
            self.age(ask(skill), by=OLD)
        attempts = []

        def away(*_commands):
            attempts.append(1)
            raise redis.ConnectionError("nobody there")

        monkeypatch.setattr(queue, "missing", lambda ids, queue: list(ids))
        monkeypatch.setattr(queue, "ask", away)
        with django_assert_num_queries(4), django_capture_on_commit_callbacks(execute=True):
            moves.resend_forgotten(timezone.now())

        assert len(attempts) == 1

    def test_while_nobody_knows_nothing_is_sent(self, ask, sent, monkeypatch):
        self.age(ask(make_skill()), by=OLD)
        sent.clear()

        def away(_ids, queue):
            raise redis.ConnectionError("nobody there")

        monkeypatch.setattr(queue, "missing", away)

        scanning.scan_executions(timezone.now())

        assert sent == []

    def test_a_closed_tenant_gets_nothing_sent(self, ask, sent):
        self.age(ask(make_skill()), by=OLD)
        sent.clear()

        scanning.scan_executions(timezone.now(), takes_work=False)

        assert sent == []


class TestLimits:
    """A run over the limit waits in the database; the end of another one lets it go."""

    @pytest.fixture
    def worker(self):
        return Actor.system("worker")

    def claim(self, worker, execution):
        return running._claim(worker, execution.pk)

    def finish(self, execution):
        lifecycle.finish_execution(
            actor=Actor.system("worker"),
            execution=execution,
            result=running.outcomes.could_not_start("It was but a test."),
            artifacts=[],
        )

    def test_of_a_skill_no_more_than_its_version_says_run_at_once(self, ask, worker, sent):
        skill = make_skill(manifest="concurrency = 1")
        first, second = ask(skill), ask(skill)

        running_one = self.claim(worker, first)
        assert self.claim(worker, second) is None
        second.refresh_from_db()
        assert (second.status, second.sent_at) == (Status.QUEUED, None)

        sent.clear()
        self.finish(running_one)
        assert sent == [str(second.pk)]
        assert self.claim(worker, second).status == Status.RUNNING

    def test_another_skill_is_not_held_up(self, ask, worker):
        limited = make_skill(manifest="concurrency = 1")
        self.claim(worker, ask(limited))

        assert self.claim(worker, ask(make_skill("other"))) is not None

    def test_of_a_tenant_no_more_than_the_platform_says_run_at_once(self, acme, ask, worker, sent):
        with schema_context("public"):
            Tenant.objects.filter(pk=acme.pk).update(concurrency=1)
        one, other = ask(make_skill()), ask(make_skill("other"))

        running_one = self.claim(worker, one)
        assert self.claim(worker, other) is None

        sent.clear()
        self.finish(running_one)
        assert sent == [str(other.pk)]

    def test_what_is_held_is_found_by_the_scan_where_nobody_let_it_go(self, ask, worker, sent):
        skill = make_skill(manifest="concurrency = 1")
        self.claim(worker, ask(skill))
        held = ask(skill)
        self.claim(worker, held)
        sent.clear()

        scanning.scan_executions(timezone.now())

        assert sent == [str(held.pk)]

    def test_a_refusal_in_turn_leaves_its_event(self, ask, worker):
        """Which the transaction of the claim would undo."""
        execution = ask(make_skill(manifest="concurrency = 2"))
        self.claim(worker, execution)

        with pytest.raises(InvalidTransition):  # Another worker was faster.
            lifecycle.claim_in_turn(worker, execution.pk)

        refused = AuditEvent.objects.get(outcome="refused")
        assert refused.code == "executions.execution.claim"

    def test_holding_a_run_is_no_refusal(self, ask, worker):
        skill = make_skill(manifest="concurrency = 1")
        self.claim(worker, ask(skill))
        self.claim(worker, ask(skill))

        assert not AuditEvent.objects.filter(outcome="refused").exists()
        assert current_schema() != "public"
