"""The addresses of both kinds of host, as the URL sets have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from . import fillings
from .expectations import ADMIN_HOST, TENANT_HOST, Expectation
from .fillings import Ids

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^()]*\)")
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Route:
    text: str
    """The whole pattern, which is its name in the expectations."""
    view: Any

    @property
    def is_api(self) -> bool:
        return self.text.removeprefix("^").startswith("api/")

    @property
    def parameters(self) -> list[str]:
        return [first or second for first, second in PARAMETER.findall(self.text)]

    @property
    def methods(self) -> list[str]:
        """Return the methods its view has a handler for; a function is thought to take some."""
        cls = getattr(self.view, "view_class", None) or getattr(self.view, "cls", None)
        return [one for one in METHODS if hasattr(cls, one)] if cls else ["get", "post"]

    @property
    def reads(self) -> bool:
        return "get" in self.methods

    def path(self, ids: Ids, **of_parameter: Ids) -> str:
        """Return its path with ids filled in, for a parameter in of_parameter from those."""

        def fill(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            return str(getattr(of_parameter.get(name, ids), attribute_of(self.text, name)))

        return "/" + PARAMETER.sub(fill, self.text).removeprefix("^").removesuffix("$")

    def mixtures(self, own: Ids, others: Ids) -> Iterator[tuple[str, Mapping[str, Ids]]]:
        """Yield ways to fill it with ids of others: all of them, then each among own ones."""
        everything = dict.fromkeys(self.parameters, others)
        yield "all ids", everything
        if len(everything) > 1:
            for name in everything:
                yield f"only {name}", {**dict.fromkeys(everything, own), name: others}

    def tries(self, ids: Ids) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Yield (method, body): each supported one, with bodies empty and full, and one more."""
        for method in self.methods:
            if method == "get":
                yield from (("GET", None), ("HEAD", None))
                continue
            yield method.upper(), {}
            body = fillings.BODIES[self.text](ids) if method == "post" else {}
            if body:
                yield method.upper(), body
        yield "OPTIONS", None
        unsupported = next((one for one in reversed(METHODS) if one not in self.methods), None)
        if unsupported:
            yield unsupported.upper(), {}


def attribute_of(route: str, parameter: str) -> str:
    """Return which of the Ids belongs there. Raises KeyError with what to do."""
    known = fillings.PARAMETERS
    found = known.get((route, parameter)) or known.get(parameter)
    if found is None:
        raise KeyError(f"Say in fillings.PARAMETERS whose id {parameter!r} of {route!r} is.")
    return found


def routes_of(urlconf: str) -> dict[str, Route]:
    """Return every route of a URL set by its text; of two alike the first answers."""
    found: dict[str, Route] = {}

    def walk(patterns: list[URLPattern | URLResolver], prefix: str = "") -> None:
        for each in patterns:
            text = prefix + str(each.pattern)
            if isinstance(each, URLResolver):
                walk(each.url_patterns, text)
            else:
                found.setdefault(text, Route(text, each.callback))

    walk(get_resolver(urlconf).url_patterns)
    return found


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of host: its URL set and what is expected of it."""

    name: str
    urlconf: str
    expectations: Mapping[str, Expectation]
    login: str

    def routes(self, wanted: Callable[[Route], Any] = lambda _route: True) -> list[Route]:
        return [one for one in routes_of(self.urlconf).values() if wanted(one)]


TENANT = Kind("tenant host", "execfabric.urls_tenant", TENANT_HOST, "/login/")
ADMIN = Kind("admin host", "execfabric.urls_public", ADMIN_HOST, "/platform/login/")
