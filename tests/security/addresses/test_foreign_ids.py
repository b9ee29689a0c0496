"""Ids of another tenant's objects are ids of nothing, for everybody and in every place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .asking import ANONYMOUS, Answer, found_in
from .fillings import NOBODYS, Ids, delegation_form, inputs, member, run, run_form
from .routes import TENANT, Route

MEMBERS = ["victor", "oscar", "olivia"]


def allowed(route: Route, method: str, body: object, *, is_member: bool) -> set[int]:
    """Return the statuses an id of another tenant may get."""
    expected = TENANT.expectations[route.text]
    if expected.needs_login and not is_member:
        return {401} if route.is_api else {302}
    statuses = set(expected.member) | (set(expected.empty_body) if body == {} else set())
    if method.lower() not in (*route.methods, "head") or (method == "HEAD" and not route.reads):
        statuses.add(405)
    if method == "OPTIONS":
        statuses.add(200)  # What may be done with an address of this form; the id is not looked at.
    return statuses


def addresses(own: Ids, foreign: Ids) -> Iterator[tuple[Route, str, str, str]]:
    """Yield (route, which ids, path with foreign ids, path with ids that nobody has)."""
    for route in TENANT.routes(lambda one: one.parameters):
        pairs = zip(route.mixtures(own, foreign), route.mixtures(own, NOBODYS), strict=True)
        for (label, theirs), (_label, nobodys) in pairs:
            path = route.path(own, **theirs)
            if path != route.path(own):  # Equal numbers give equal keys; those are own ones then.
                yield route, label, path, route.path(own, **nobodys)


def differences(answer: Answer, ids: Ids, missing: Answer) -> str:
    """Return in what two answers differ, apart from the ids; empty when in nothing."""
    pairs = zip(answer.without(ids), missing.without(NOBODYS), strict=True)
    return "; ".join(f"{one!r:.300} ≠ {other!r:.300}" for one, other in pairs if one != other)


@pytest.mark.parametrize("who", ["anonymous", *MEMBERS])
def test_a_foreign_id_is_answered_exactly_like_one_that_nobody_has(stage, asker, of_host, who):
    person = ANONYMOUS if who == "anonymous" else of_host("acme", who)
    own, foreign = stage.acme.ids, stage.globex.ids
    wrong, tried = [], 0

    for route, label, path, nobodys_path in addresses(own, foreign):
        tries = zip(route.tries(foreign), route.tries(NOBODYS), strict=True)
        for (method, body), (_method, nobodys_body) in tries:
            tried += 1
            answer = asker.ask("acme.localhost", person, method, path, body)
            missing = asker.ask("acme.localhost", person, method, nobodys_path, nobodys_body)
            name = f"{method} {route.text} ({label}{', empty' if body == {} else ''})"
            if answer.status not in allowed(route, method, body, is_member=person is not ANONYMOUS):
                wrong.append(f"{name}: {answer.status} {answer.error}")
            if differing := differences(answer, foreign, missing):
                wrong.append(f"{name}: it can be told from an id of nothing: {differing}")
            if found := found_in(answer, stage.globex.betrayals(), asked_for=foreign):
                wrong.append(f"{name}: shows {found}")

    assert tried > 100
    assert not wrong, "\n".join(wrong)


IN_QUERIES_AND_BODIES = {
    "GET /skills/{own.skill}/?from={ids.execution}": None,
    "GET /skills/?q={ids.skill}": None,
    "GET /executions/?skill={ids.skill}": None,
    "GET /executions/?who={ids.skill}": None,
    "GET /audit/?target={ids.execution}": None,
    "GET /api/v1/skills?q={ids.skill}": None,
    "GET /api/v1/executions?skill={ids.skill}": None,
    "GET /executions/{own.execution}/live/?after=0&seen={ids.execution}": None,
    "POST /api/v1/executions ": lambda own, ids: {"skill": ids.skill, "inputs": {}},
    "POST /api/v1/executions": lambda own, ids: {"skill": own.skill, "inputs": inputs(ids)},
    "POST /skills/{own.skill}/": lambda own, ids: run_form(ids),
    "POST /approvals/delegations/": lambda own, ids: delegation_form(ids),
    "POST /groups/{own.group}/members/": lambda own, ids: member(ids),
}
"""Method and address: its body, if any. ids are those of another tenant, or nobody's."""


@pytest.mark.parametrize("who", MEMBERS)
def test_a_foreign_id_in_a_query_or_a_body_is_an_id_of_nothing(stage, asker, of_host, who):
    person, own = of_host("acme", who), stage.acme.ids
    wrong = []

    def ask(request: str, ids: Ids) -> Answer:
        method, path = request.format(own=own, ids=ids).split(maxsplit=1)
        body = IN_QUERIES_AND_BODIES[request]
        sent = body(own, ids) if body else None
        return asker.ask("acme.localhost", person, method, path.strip(), sent)

    for request in IN_QUERIES_AND_BODIES:
        answer, missing = ask(request, stage.globex.ids), ask(request, NOBODYS)
        if answer.status >= 500 or answer.status in {201, 302}:
            wrong.append(f"{request}: {answer.status} {answer.error}")
        if differing := differences(answer, stage.globex.ids, missing):
            wrong.append(f"{request}: it can be told from an id of nothing: {differing}")
        if found := found_in(answer, stage.globex.betrayals(), asked_for=stage.globex.ids):
            wrong.append(f"{request}: shows {found}")

    assert not wrong, "\n".join(wrong)


def test_with_own_ids_the_same_requests_are_answered(stage, asker, of_host):
    """Else the tests above would pass where nothing works."""
    person, own = of_host("acme", "wombatusername"), stage.acme.ids

    created = asker.ask("acme.localhost", person, "POST", "/api/v1/executions", run(own))
    sent = asker.ask("acme.localhost", person, "POST", f"/skills/{own.skill}/", run_form(own))
    again = asker.ask("acme.localhost", person, "GET", f"/skills/{own.skill}/?from={own.execution}")

    assert created.status == 201
    assert sent.status == 302
    assert "wombatinput" in again.body
