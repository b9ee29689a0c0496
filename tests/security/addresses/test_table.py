"""Every address has its expectation, and every expectation its address."""

from __future__ import annotations

import pytest

from . import fillings
from .routes import ADMIN, TENANT, attribute_of

ROUTES = {route.text: route for kind in (TENANT, ADMIN) for route in kind.routes()}


@pytest.mark.parametrize("kind", [TENANT, ADMIN], ids=lambda kind: kind.name)
def test_every_route_has_one_line_in_the_table_and_no_line_is_of_a_route_that_is_gone(kind):
    known = {route.text for route in kind.routes()}
    lacking = sorted(known - kind.expectations.keys())
    gone = sorted(kind.expectations.keys() - known)

    assert not lacking, f"Say in expectations.py what these of the {kind.name} answer: {lacking}"
    assert not gone, f"Take these of the {kind.name} out of expectations.py: {gone}"


def test_it_is_known_whose_id_every_parameter_is():
    unknown = []
    for route in ROUTES.values():
        for parameter in route.parameters:
            try:
                attribute_of(route.text, parameter)
            except KeyError as error:
                unknown.append(error.args[0])

    assert not unknown, "\n".join(unknown)


def test_every_route_that_takes_a_post_has_a_well_formed_body():
    both = [*TENANT.routes(), *ADMIN.routes()]  # Some have a view on each kind of host.
    posts = {route.text for route in both if "post" in route.methods}

    lacking, gone = sorted(posts - fillings.BODIES.keys()), sorted(fillings.BODIES.keys() - posts)
    assert not lacking, f"Say in fillings.BODIES what is sent to these: {lacking}"
    assert not gone, f"Take these out of fillings.BODIES: {gone}"


def test_no_filling_is_of_a_parameter_that_is_gone():
    used = {(text, name) for text, route in ROUTES.items() for name in route.parameters}
    names = {name for _text, name in used}

    gone = [one for one in fillings.PARAMETERS if one not in used and one not in names]
    assert not gone, f"Take these out of fillings.PARAMETERS: {gone}"


def test_an_id_that_is_filled_in_is_really_in_the_path():
    for route in ROUTES.values():
        path = route.path(fillings.NOBODYS)

        assert not set("<>^$(?") & set(path), f"{route.text} was filled in as {path}"
