"""Rules, delegation, the inbox, reminders, and what an approver sees."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.models import AuditEvent
from skills.catalogue.models import Right, Skill, SkillGrant, Withdrawal
from skills.executions import scanning, services, tasks
from skills.executions.approvals import services as approvals
from skills.executions.approvals.authority import approvers_of
from skills.executions.approvals.inbox import badge_of, inbox_of
from skills.executions.approvals.models import ApprovalRules
from skills.executions.approvals.rules import rules_in_force
from skills.executions.approvals.shown import HIDDEN, shown_to_decide
from skills.executions.models import Delegation, Execution
from skills.executions.policy import MOST_APPROVALS, PLATFORM_MINIMUM, Demand
from skills.executions.selectors import executions_visible_to
from skills.executions.states import WAITING, Status
from tenants.accounts.groups.services import add_member, create_group
from tenants.accounts.models import Account
from tests.factories.skills import make_skill
from tests.security.approval.cast import put_in_force, skill_of

pytestmark = pytest.mark.usefixtures("acme")
NOW = timezone.now()
TOMORROW = NOW + timedelta(days=1)


@pytest.fixture
def cast(person):
    return {name: person(name) for name in ("olivia", "dana", "oscar", "anna", "victor")}


@pytest.fixture
def waiting(cast):
    """Oscar's request, which somebody else must approve."""
    return ask(cast["oscar"], skill_of("low", approval="four_eyes"), reason="Month end")


def ask(who, skill, inputs=None, **arguments):
    return services.request_execution(
        actor=who.actor, skill=skill, inputs=inputs or {}, **arguments
    )


def make_void(execution, why):
    if why == "another version":
        make_skill(code="def main(name='you', times=1):\n    return 1\n")
    elif why == "withdrawn":
        Withdrawal.objects.create(
            version=execution.version, reason="It leaks.", withdrawn_by="sam", withdrawn_at=NOW
        )
    else:
        Skill.objects.filter(pk=execution.skill_id).update(is_enabled=False)


class TestRules:
    def test_with_none_set_the_platform_s_minimum_is_in_force(self):
        rules = rules_in_force()

        assert rules.demands == PLATFORM_MINIMUM
        assert rules.version.endswith("-0")

    def test_setting_them_changes_the_policy_version_and_is_on_record(self, cast):
        before = rules_in_force().version

        put_in_force(cast["olivia"].actor, high=(True, 2))

        assert rules_in_force().version != before
        event = AuditEvent.objects.get(code="executions.rules.set")
        assert event.details["demands"]["high"] == [True, 2]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"high": Demand(confirm=False)}, "high"),
            ({"low": Demand(approvals=MOST_APPROVALS + 1)}, "low"),
            ({"low": Demand(approvals=-1)}, "low"),
            ({"extreme": Demand()}, "extreme"),
        ],
    )
    def test_they_are_never_looser_than_the_platform_nor_nonsense(self, cast, change, field):
        with pytest.raises(InvalidInput) as refusal:
            approvals.set_rules(actor=cast["olivia"].actor, demands={**PLATFORM_MINIMUM, **change})

        assert list(refusal.value.fields) == [field]
        assert not ApprovalRules.objects.exists()

    def test_every_risk_needs_a_rule(self, cast):
        with pytest.raises(InvalidInput):
            approvals.set_rules(actor=cast["olivia"].actor, demands={"low": Demand()})

    @pytest.mark.parametrize("hours", [0, 25])
    def test_nothing_waits_longer_than_the_platform_allows(self, cast, hours):
        with pytest.raises(InvalidInput):
            approvals.set_rules(
                actor=cast["olivia"].actor, demands=PLATFORM_MINIMUM, expires_after_h=hours
            )

    @pytest.mark.parametrize("name", ["dana", "oscar", "anna", "victor"])
    def test_only_managers_see_and_set_them(self, cast, name):
        with pytest.raises(NotPermitted):
            put_in_force(cast[name].actor)
        assert cast[name].browser.get("/approvals/rules/").status_code == 404
        assert cast[name].api.get("/api/v1/approval-rules").status_code == 403

    def test_the_page_sets_them_and_cannot_loosen(self, cast):
        browser = cast["olivia"].browser
        form = {
            "low_approvals": "0",
            "medium_confirm": "on",
            "medium_approvals": "1",
            "high_approvals": "2",
            "expires_after_h": "8",
            "remind_after_h": "2",
        }

        assert browser.post("/approvals/rules/", form).status_code == 302

        rules = rules_in_force()
        assert rules.demands["high"] == Demand(confirm=True, approvals=2), "high always confirms"
        assert rules.demands["medium"] == Demand(confirm=True, approvals=1)
        assert rules.expires_after == timedelta(hours=8)
        assert rules.version in browser.get("/approvals/rules/").text
        assert browser.post("/approvals/rules/", {"low_approvals": "9"}).status_code == 422

    def test_the_api_sets_them_and_cannot_loosen(self, cast):
        api = cast["olivia"].api
        known = api.get("/api/v1/approval-rules").json()

        known["demands"]["high"] = {"confirm": False, "approvals": 1}
        refused = api.put("/api/v1/approval-rules", known, format="json")
        known["demands"]["high"] = {"confirm": True, "approvals": 1}
        done = api.put("/api/v1/approval-rules", known, format="json")

        assert (refused.status_code, list(refused.json()["fields"])) == (400, ["high"])
        assert done.json()["demands"]["high"]["approvals"] == 1
        assert done.json()["version"] != known["version"]

    def test_a_shorter_time_ends_what_waits(self, cast, waiting):
        approvals.set_rules(actor=cast["olivia"].actor, demands=PLATFORM_MINIMUM, expires_after_h=1)

        scanning.scan_executions(NOW + timedelta(hours=2))

        waiting.refresh_from_db()
        assert waiting.status == Status.EXPIRED

    def test_tightening_holds_for_what_waits_already(self, cast, waiting):
        put_in_force(cast["olivia"].actor, low=(False, 2))

        services.approve_execution(actor=cast["anna"].actor, execution=waiting)

        waiting.refresh_from_db()
        assert waiting.status == Status.AWAITING_APPROVAL


class TestApprovers:
    def test_a_grant_to_one_account_makes_an_approver_of_any_role(self, cast, waiting):
        victor = cast["victor"]
        with pytest.raises(NotPermitted):
            services.approve_execution(actor=victor.actor, execution=waiting)
        SkillGrant.objects.create(skill=waiting.skill, account=victor.account, right=Right.APPROVE)

        approved = services.approve_execution(actor=victor.actor, execution=waiting)

        assert approved.status == Status.QUEUED

    def test_each_says_it_once(self, cast):
        put_in_force(cast["olivia"].actor, low=(False, 2))
        waiting = ask(cast["oscar"], skill_of("low"))
        services.approve_execution(actor=cast["anna"].actor, execution=waiting)

        with pytest.raises(Conflict, match="already"):
            services.approve_execution(actor=cast["anna"].actor, execution=waiting)

        approved = services.approve_execution(actor=cast["olivia"].actor, execution=waiting)
        assert approved.status == Status.QUEUED

    def test_a_request_is_not_approved_once_another_version_is_in_use(self, cast, waiting):
        make_skill(code="def main(name='you', times=1):\n    return 1\n")

        with pytest.raises(Conflict, match="Another version"):
            services.approve_execution(
                actor=cast["anna"].actor, execution=Execution.objects.get(pk=waiting.pk)
            )


class TestDelegation:
    def delegate(self, cast, **to):
        return approvals.delegate(actor=cast["anna"].actor, ends_at=TOMORROW, **to)

    def test_a_person_approves_in_the_name_of_another(self, cast, waiting):
        dana = cast["dana"]
        assert waiting not in executions_visible_to(dana.actor)
        self.delegate(cast, to_account=dana.account)

        assert waiting in executions_visible_to(dana.actor)
        assert dana.account in approvers_of(waiting.skill, requester_id=None, now=timezone.now())
        services.approve_execution(actor=dana.actor, execution=waiting)

        consent = waiting.consents.get()
        assert (consent.account, consent.authority) == (dana.account, cast["anna"].account)

    def test_so_does_everybody_of_a_group(self, cast, waiting):
        group = create_group(actor=cast["olivia"].actor, name="Deputies")
        add_member(actor=cast["olivia"].actor, group=group, account=cast["victor"].account)
        self.delegate(cast, to_group=group)

        approved = services.approve_execution(actor=cast["victor"].actor, execution=waiting)

        assert approved.status == Status.QUEUED
        with pytest.raises(NotPermitted):
            services.reject_execution(
                actor=cast["dana"].actor, execution=approved, reason="Not in it"
            )

    def test_the_requester_does_not_approve_by_it(self, cast, waiting):
        self.delegate(cast, to_account=cast["oscar"].account)

        with pytest.raises(NotPermitted):
            services.approve_execution(actor=cast["oscar"].actor, execution=waiting)

    def test_nobody_approves_in_the_requester_s_name(self, cast):
        olivia, dana = cast["olivia"], cast["dana"]
        waiting = ask(olivia, skill_of("low", approval="four_eyes"))
        approvals.delegate(actor=olivia.actor, ends_at=TOMORROW, to_account=dana.account)

        with pytest.raises(NotPermitted):
            services.approve_execution(actor=dana.actor, execution=waiting)

    def test_one_right_counts_once_whoever_uses_it(self, cast):
        put_in_force(cast["olivia"].actor, low=(False, 2))
        waiting = ask(cast["oscar"], skill_of("low"))
        self.delegate(cast, to_account=cast["dana"].account)
        services.approve_execution(actor=cast["dana"].actor, execution=waiting)

        with pytest.raises(Conflict, match="already"):
            services.approve_execution(actor=cast["anna"].actor, execution=waiting)

    def test_it_is_not_passed_on(self, cast, waiting):
        self.delegate(cast, to_account=cast["dana"].account)
        approvals.delegate(
            actor=cast["dana"].actor, ends_at=TOMORROW, to_account=cast["victor"].account
        )

        with pytest.raises(NotPermitted):
            services.approve_execution(actor=cast["victor"].actor, execution=waiting)

    @pytest.mark.parametrize("why", ["ended", "past", "deactivated", "right lost"])
    def test_it_ends(self, cast, waiting, why):
        delegation = self.delegate(cast, to_account=cast["dana"].account)
        if why == "ended":
            approvals.end_delegation(actor=cast["anna"].actor, delegation=delegation)
        elif why == "past":
            Delegation.objects.update(
                starts_at=NOW - timedelta(days=2), ends_at=NOW - timedelta(days=1)
            )
        elif why == "deactivated":
            Account.objects.filter(username="anna").update(is_active=False)
        else:
            SkillGrant.objects.filter(right=Right.APPROVE, role="approver").delete()

        with pytest.raises(NotPermitted):
            services.approve_execution(actor=cast["dana"].actor, execution=waiting)
        assert waiting not in executions_visible_to(cast["dana"].actor)

    def test_nobody_ends_that_of_another_but_an_owner(self, cast):
        delegation = self.delegate(cast, to_account=cast["dana"].account)

        with pytest.raises(NotPermitted):
            approvals.end_delegation(actor=cast["dana"].actor, delegation=delegation)
        approvals.end_delegation(actor=cast["olivia"].actor, delegation=delegation)
        with pytest.raises(Conflict):
            approvals.end_delegation(actor=cast["olivia"].actor, delegation=delegation)

    @pytest.mark.parametrize("days", [-1, 0, 91])
    def test_its_end_is_within_ninety_days(self, cast, days):
        with pytest.raises(InvalidInput) as refusal:
            approvals.delegate(
                actor=cast["anna"].actor,
                ends_at=timezone.now() + timedelta(days=days),
                to_account=cast["dana"].account,
            )

        assert list(refusal.value.fields) == ["ends_at"]

    def test_it_is_to_one_other(self, cast):
        for to in ({}, {"to_account": cast["anna"].account}):
            with pytest.raises(InvalidInput):
                self.delegate(cast, **to)

    def test_page_and_api_do_the_same(self, cast):
        anna = cast["anna"]
        day = (NOW + timedelta(days=3)).date().isoformat()
        form = {"to": "account:dana", "until": day}

        assert anna.browser.post("/approvals/delegations/", form).status_code == 302
        assert anna.browser.post("/approvals/delegations/", {}).status_code == 422
        assert "dana" in anna.browser.get("/approvals/delegations/").text
        one = anna.api.get("/api/v1/delegations").json()["results"][0]
        assert (one["delegator"], one["to_account"]) == ("anna", "dana")
        ended = anna.browser.post(f"/approvals/delegations/{one['id']}/end/")
        assert ended.status_code == 302
        body = {"to_account": "dana", "ends_at": TOMORROW.isoformat()}
        made = anna.api.post("/api/v1/delegations", body, format="json")
        assert made.status_code == 201
        end = f"/api/v1/delegations/{made.json()['id']}/end"
        assert cast["oscar"].api.post(end).status_code == 404
        assert anna.api.post(end).status_code == 200
        nobody = {**body, "to_account": "nobody"}
        assert anna.api.post("/api/v1/delegations", nobody, format="json").status_code == 400


class TestInbox:
    def test_each_sees_what_waits_for_them(self, cast, waiting):
        high = ask(cast["oscar"], make_skill("delete-orders", manifest='risk = "high"'))

        seen = {name: [one.id for one in inbox_of(who.actor)] for name, who in cast.items()}

        approve, confirm = str(waiting.pk), str(high.pk)
        assert seen == {
            "olivia": [approve],
            "dana": [],
            "oscar": [confirm],
            "anna": [approve],
            "victor": [],
        }
        assert badge_of(cast["anna"].actor) == "1"
        assert badge_of(cast["victor"].actor) == ""

    def test_what_is_said_is_gone_from_it(self, cast):
        put_in_force(cast["olivia"].actor, low=(False, 2))
        waiting = ask(cast["oscar"], skill_of("low"))
        services.approve_execution(actor=cast["anna"].actor, execution=waiting)

        assert inbox_of(cast["anna"].actor) == []
        assert [one.id for one in inbox_of(cast["olivia"].actor)] == [str(waiting.pk)]

    @pytest.mark.parametrize("why", ["another version", "withdrawn", "disabled"])
    def test_what_is_void_leaves_it_and_the_badge_at_once(self, cast, waiting, why):
        anna = cast["anna"]
        make_void(waiting, why)

        assert badge_of(anna.actor) == ""
        assert inbox_of(anna.actor) == []
        assert anna.api.get("/api/v1/inbox").json()["count"] == 0
        page = anna.browser.get(f"/executions/{waiting.pk}/").text
        assert "This does not run any more" in page
        assert f"/executions/{waiting.pk}/approve/" not in page

    def test_so_does_what_waits_for_its_own_confirmation(self, cast):
        high = ask(cast["oscar"], skill_of("high"))
        assert badge_of(cast["oscar"].actor) == "1"

        make_void(high, "another version")

        assert badge_of(cast["oscar"].actor) == ""
        page = cast["oscar"].browser.get(f"/executions/{high.pk}/").text
        assert f"/executions/{high.pk}/confirm/" not in page

    @pytest.mark.parametrize("why", ["another version", "withdrawn"])
    def test_what_can_never_run_ends_at_the_next_scan_with_the_reason(self, waiting, why):
        make_void(waiting, why)

        scanning.scan_executions(timezone.now())

        waiting.refresh_from_db()
        assert waiting.status == Status.REJECTED
        assert {"another version": "Another version", "withdrawn": "It leaks"}[
            why
        ] in waiting.summary

    def test_who_approves_while_a_scan_is_at_it_is_not_undone(self, cast, waiting, monkeypatch):
        ask(cast["oscar"], waiting.skill)
        expire = scanning.lifecycle.expire_execution

        def overtaken(*, execution, **given):
            for other in Execution.objects.filter(status__in=WAITING).exclude(pk=execution.pk):
                services.approve_execution(actor=cast["anna"].actor, execution=other)
            return expire(execution=execution, **given)

        monkeypatch.setattr(scanning.lifecycle, "expire_execution", overtaken)

        scanning.scan_executions(timezone.now() + timedelta(hours=25), takes_work=False)

        statuses = Execution.objects.values_list("status", flat=True)
        assert sorted(statuses) == [Status.EXPIRED, Status.QUEUED]

    def test_what_a_disabled_skill_was_asked_for_is_back_when_it_is_enabled(self, cast, waiting):
        make_void(waiting, "disabled")
        scanning.scan_executions(timezone.now())
        assert inbox_of(cast["anna"].actor) == []

        Skill.objects.update(is_enabled=True)

        assert [one.id for one in inbox_of(cast["anna"].actor)] == [str(waiting.pk)]
        approved = services.approve_execution(actor=cast["anna"].actor, execution=waiting)
        assert approved.status == Status.QUEUED

    def test_page_menu_and_api_show_it(self, cast, waiting):
        anna = cast["anna"]

        page = anna.browser.get("/approvals/").text
        answer = anna.api.get("/api/v1/inbox").json()

        assert "Month end" in page
        assert 'menu-badge">1<' in page
        assert answer["count"] == 1
        assert answer["results"][0]["act"] == "approve"
        assert answer["results"][0]["url"].endswith(f"/executions/{waiting.pk}/")

    def test_the_page_takes_the_same_number_of_queries_however_much_waits(
        self, cast, waiting, django_assert_max_num_queries
    ):
        for _ in range(5):
            ask(cast["oscar"], waiting.skill)
        cast["anna"].browser.get("/approvals/")

        with django_assert_max_num_queries(14):
            cast["anna"].browser.get("/approvals/")


class TestReminder:
    @pytest.fixture(autouse=True)
    def addresses(self, acme):
        for name in ("olivia", "anna", "oscar"):
            Account.objects.filter(username=name).update(email=f"{name}@example.org")

    def scan(self, django_capture_on_commit_callbacks, hours):
        with django_capture_on_commit_callbacks(execute=True):
            tasks.remind_overdue(timezone.now() + timedelta(hours=hours))

    def test_approvers_are_mailed_once(self, waiting, django_capture_on_commit_callbacks):
        self.scan(django_capture_on_commit_callbacks, 3)
        assert mail.outbox == []

        for _ in range(2):
            self.scan(django_capture_on_commit_callbacks, 5)

        assert sorted(one.to[0] for one in mail.outbox) == [
            "anna@example.org",
            "olivia@example.org",
        ]
        assert f"/executions/{waiting.pk}/" in mail.outbox[0].body
        assert mail.outbox[0].from_email == "execfabric@localhost"
        assert AuditEvent.objects.filter(code="executions.execution.remind").count() == 1

    def test_nobody_is_mailed_about_what_is_void(self, waiting, django_capture_on_commit_callbacks):
        make_void(waiting, "another version")

        self.scan(django_capture_on_commit_callbacks, 5)

        assert mail.outbox == []

    def test_who_must_confirm_is_mailed(self, cast, django_capture_on_commit_callbacks):
        ask(cast["oscar"], skill_of("high"), {"name": "SECRET-NAME"})

        self.scan(django_capture_on_commit_callbacks, 5)

        assert [one.to for one in mail.outbox] == [["oscar@example.org"]]
        assert "SECRET-NAME" not in mail.outbox[0].body

    def test_mail_that_cannot_be_sent_keeps_nobody_else_waiting(
        self, cast, waiting, django_capture_on_commit_callbacks, settings
    ):
        settings.EMAIL_BACKEND = "nowhere.at.All"
        ask(cast["oscar"], waiting.skill)

        self.scan(django_capture_on_commit_callbacks, 5)

        assert Execution.objects.filter(reminded_at__isnull=False).count() == 2


class TestWhatIsShown:
    SECRET = '[inputs.api_key]\ntype = "string"\n[inputs.who]\ntype = "string"\n'
    FILE = '[inputs.orders]\ntype = "string"\nformat = "file"\n'

    def test_secrets_are_hidden_from_everybody(self, cast):
        skill = make_skill(
            "with-key",
            "def main(api_key, who):\n    return 1\n",
            manifest='approval = "four_eyes"',
            inputs=self.SECRET,
        )
        waiting = ask(cast["oscar"], skill, {"api_key": "hunter2-hunter2", "who": "Ada"})

        for who in (cast["anna"], cast["oscar"]):
            page = who.browser.get(f"/executions/{waiting.pk}/").text
            answer = who.api.get(f"/api/v1/executions/{waiting.pk}")
            assert "hunter2" not in page + answer.content.decode()
            assert answer.json()["inputs"] == {"api_key": HIDDEN, "who": "Ada"}
        for who in (cast["olivia"], cast["oscar"]):
            form = who.browser.get(f"/skills/with-key/?from={waiting.pk}").text
            assert "Ada" in form
            assert "hunter2" not in form

    def test_changes_since_the_last_run_that_started(self, cast, django_assert_max_num_queries):
        skill = skill_of("low", approval="four_eyes")
        first = ask(cast["oscar"], skill, {"name": "Ada", "times": 1})
        assert shown_to_decide(first).last_run is None
        services.approve_execution(actor=cast["anna"].actor, execution=first)
        Execution.objects.filter(pk=first.pk).update(started_at=NOW)
        same = ask(cast["oscar"], skill, {"name": "Ada", "times": 1})
        other = ask(cast["oscar"], skill, {"name": "Eve", "times": 1})

        assert shown_to_decide(same).changes == []
        shown = shown_to_decide(other)
        assert [(one.title, one.before, one.now) for one in shown.changes] == [
            ("Name", "Ada", "Eve")
        ]

    def test_the_page_names_files_by_digest_the_risk_and_the_reason(self, cast):
        oscar = cast["oscar"]
        skill = make_skill(
            "count",
            "def main(orders):\n    return 1\n",
            manifest='approval = "four_eyes"\nrisk = "medium"',
            inputs=self.FILE,
        )
        file = services.upload_file(
            actor=oscar.actor, name="orders.csv", content=io.BytesIO(b"a;b\n1;2\n")
        )
        waiting = ask(oscar, skill, {"orders": str(file.pk)}, reason="Month end")

        page = cast["anna"].browser.get(f"/executions/{waiting.pk}/").text

        for text in ("orders.csv", file.sha256, "Medium risk", "Month end", "version 1"):
            assert text in page
        assert f"/executions/{waiting.pk}/approve/" in page

    def test_the_api_says_how_many_approvals_are_given(self, cast):
        put_in_force(cast["olivia"].actor, low=(False, 2))
        waiting = ask(cast["oscar"], skill_of("low"))
        address = f"/api/v1/executions/{waiting.pk}"

        approved = cast["anna"].api.post(f"{address}/approve").json()

        assert approved["status"] == "awaiting_approval"
        assert approved["approvals"] == {"given": 1, "needed": 2}
        assert cast["olivia"].api.post(f"{address}/approve").json()["approvals"] is None
