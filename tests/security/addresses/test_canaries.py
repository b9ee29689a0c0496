"""Nothing of one tenant is ever shown at another, wherever one looks."""

from __future__ import annotations

import pytest

from .asking import ANONYMOUS, Asker, Person, found_in
from .routes import ADMIN, TENANT, Kind
from .worlds import KNOWN, World

HANDED_IN = ("scenario", "remark")
"""What a tenant wrote for the reviewers: they read it, and nothing else of the tenant."""


OF_THE_PLATFORM = ("ledger",)
"""What the platform wrote itself, of a resource that it shows the tenant."""


def is_of_reviews(route: str) -> bool:
    return "submissions" in route or "reviews" in route


def kept_from(route: str, marks: list[str]) -> list[str]:
    """Return the words that an address of the admin host must not show."""
    if is_of_reviews(route):
        shown = HANDED_IN
    elif "http-resources" in route:
        shown = OF_THE_PLATFORM
    else:
        return marks
    return [f"{mark}{word}" for mark in marks for word in KNOWN if word not in shown]


def answers(asker: Asker, kind: Kind, host: str, person: Person, world: World):
    """Yield (route, answer) of everything that can be read, with world's own ids filled in."""
    for route in kind.routes(lambda one: one.reads):
        yield route, asker.ask(host, person, "GET", route.path(world.ids))


def test_every_canary_is_seen_at_home(stage, asker, of_host):
    owner = of_host("globex", "gina")
    unseen, wrong = {f"quokka{word}" for word in KNOWN}, []

    for route, answer in answers(asker, TENANT, "globex.localhost", owner, stage.globex):
        if answer.status != TENANT.expectations[route.text].owner_gets:
            wrong.append(f"{route.text}: {answer.status} {answer.error}")
        unseen -= set(found_in(answer, unseen))

    assert not wrong, "\n".join(wrong)
    assert not unseen, "The tests that look for these elsewhere would prove nothing."


@pytest.mark.parametrize("who", ["anonymous", "victor", "wombatusername", "olivia"])
def test_nobody_of_a_tenant_sees_anything_of_another(stage, asker, of_host, who):
    # First what the other tenant's owner sees: whatever this process remembers, it has seen by now.
    gina = of_host("globex", "gina")
    for _route, _answer in answers(asker, TENANT, "globex.localhost", gina, stage.globex):
        pass
    person = ANONYMOUS if who == "anonymous" else of_host("acme", who)

    seen = {
        route.text: (answer.status, found_in(answer, stage.globex.betrayals()))
        for route, answer in answers(asker, TENANT, "acme.localhost", person, stage.acme)
    }

    assert {text: found for text, (_status, found) in seen.items() if found} == {}
    if who == "olivia":
        assert [text for text, (status, _found) in seen.items() if status >= 400] == [
            "^api/(?P<path>.*)$"
        ]


def test_the_admin_host_shows_tenants_and_nothing_that_is_in_them(stage, asker, of_host):
    sam = of_host("admin", "sam")
    marks = ["quokka", "wombat"]

    seen = {
        route.text: found_in(answer, kept_from(route.text, marks), asked_for=stage.globex.ids)
        for route, answer in answers(asker, ADMIN, "admin.localhost", sam, stage.globex)
    }

    assert len(seen) > 10
    assert {text: found for text, found in seen.items() if found} == {}


@pytest.mark.parametrize("host", ["admin.localhost", "localhost", "unknown.localhost"])
def test_nobody_learns_at_another_door_which_tenants_there_are(stage, asker, host):
    kind = ADMIN if host == "admin.localhost" else TENANT
    words = [stage.acme.mark, stage.acme.tenant.schema_name, *stage.globex.betrayals()]

    seen = {
        route.text: found_in(answer, words, asked_for=stage.globex.ids)
        for route, answer in answers(asker, kind, host, ANONYMOUS, stage.globex)
    }

    assert {text: found for text, found in seen.items() if found} == {}
