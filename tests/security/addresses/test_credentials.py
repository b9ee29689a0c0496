"""Credentials of one host mean nothing on another, and no page stands on the wrong kind of host."""

from __future__ import annotations

import pytest

from .asking import ANONYMOUS, MADE_UP, Answer
from .fillings import NOBODYS
from .routes import ADMIN, TENANT

HOSTS = {"acme.localhost": TENANT, "localhost": TENANT, "admin.localhost": ADMIN}
STRANGERS = {
    "acme.localhost": ["globex/gina", "globex/quokkausername", "admin/sam"],
    "localhost": ["globex/gina"],
    "admin.localhost": ["acme/olivia", "acme/wombatusername", "acme/victor"],
}


def options_of(method: str) -> set[int]:
    """Return what else an OPTIONS may get: the methods of an address, whatever the id in it."""
    return {200} if method == "OPTIONS" else set()


def seen_by_anybody(answer: Answer) -> tuple:
    """Return what an answer says, without what a cookie that means nothing adds to it."""
    status, headers, _cookies, body, _statements = answer.without(NOBODYS)
    headers.pop("Vary", None)
    return status, headers, body


@pytest.mark.parametrize("host", HOSTS)
def test_credentials_of_another_host_are_void(stage, asker, of_host, host):
    kind, strangers = HOSTS[host], [of_host(*who.split("/")) for who in STRANGERS[host]]
    worlds = [stage.acme.ids, stage.globex.ids] if host == "acme.localhost" else [stage.globex.ids]
    wrong, tried = [], 0

    for route in kind.routes():
        for ids in worlds if route.parameters else worlds[:1]:
            for method, body in route.tries(ids):
                if method == "HEAD":  # Is a GET whose body is not sent; the costly half of all.
                    continue
                tried += 1
                path = route.path(ids)
                made_up = asker.ask(host, MADE_UP, method, path, body)
                anonymous = asker.ask(host, ANONYMOUS, method, path, body)
                if seen_by_anybody(made_up) != seen_by_anybody(anonymous):
                    wrong.append(f"{method} {path}: {made_up.status} is not {anonymous.status}")
                for stranger in strangers:
                    answer = asker.ask(host, stranger, method, path, body)
                    if answer.without(NOBODYS) != made_up.without(NOBODYS):
                        told = f"{answer.status} instead of {made_up.status}"
                        wrong.append(f"{method} {path} by {stranger.name}: {told}")

    assert tried > 60
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("host", HOSTS)
def test_anybody_is_answered_as_the_table_says(stage, asker, host):
    kind, wrong = HOSTS[host], []

    for route in kind.routes():
        expected = kind.expectations[route.text]
        for method, body in route.tries(stage.globex.ids):
            path = route.path(stage.globex.ids)
            answer = asker.ask(host, ANONYMOUS, method, path, body)
            to_login = (
                (answer.status == 401)
                if route.is_api
                else (answer.status == 302 and answer.headers["Location"].startswith(kind.login))
            )
            may_be = {*expected.member, *expected.empty_body, 405, *options_of(method)}
            if not (to_login if expected.needs_login else answer.status in may_be):
                wrong.append(f"{method} {path}: {answer.status} {answer.error}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("host", "who"),
    [
        ("acme.localhost", "anonymous"),
        ("acme.localhost", "acme/olivia"),
        ("acme.localhost", "admin/sam"),
        ("localhost", "anonymous"),
        ("admin.localhost", "anonymous"),
        ("admin.localhost", "admin/sam"),
        ("admin.localhost", "acme/olivia"),
    ],
)
def test_no_address_of_the_other_kind_of_host_is_there(stage, asker, of_host, host, who):
    here = HOSTS[host]
    other = ADMIN if here is TENANT else TENANT
    person = ANONYMOUS if who == "anonymous" else of_host(*who.split("/"))
    elsewhere = other.routes(lambda one: one.text not in here.expectations)

    there = [
        f"{method} {route.text}: {answer.status}"
        for route in elsewhere
        for method, body in route.tries(stage.acme.ids)
        if (answer := asker.ask(host, person, method, route.path(stage.acme.ids), body)).status
        != 404
    ]

    assert len(elsewhere) > 8
    assert not there, "\n".join(there)


def test_an_account_without_the_right_finds_no_page_of_governance(stage, asker, norma, of_host):
    wrong, sam = [], of_host("admin", "sam")

    for route in ADMIN.routes():
        expected = ADMIN.expectations[route.text]
        path = route.path(stage.acme.ids)
        for method, body in route.tries(stage.acme.ids):
            answer = asker.ask("admin.localhost", norma, method, path, body)
            may_be = {*expected.member, *expected.empty_body}
            if method.lower() not in route.methods and not (method == "HEAD" and route.reads):
                may_be |= {405, *options_of(method)}
            if answer.status not in may_be:
                wrong.append(f"{method} {route.text}: {answer.status} {answer.error}")
        if route.reads:
            answer = asker.ask("admin.localhost", sam, "GET", path)
            if answer.status != expected.owner_gets:
                wrong.append(f"GET {route.text} by sam: {answer.status} {answer.error}")

    assert not wrong, "\n".join(wrong)
