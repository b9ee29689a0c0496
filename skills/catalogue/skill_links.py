"""Further ways from the page of a skill. The floors above supply them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from execfabric.core.actor import Actor

from .models import Skill

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


@dataclass(frozen=True, slots=True)
class SkillLink:
    label: str | StrPromise
    """Translatable."""
    icon: str
    url_of: Callable[[Skill], str]
    shown_to: Callable[[Actor, Skill], bool]


_LINKS: list[SkillLink] = []


def offer_link(link: SkillLink) -> None:
    """Show link on the page of each skill to those it is for."""
    _LINKS.append(link)


def links_of(actor: Actor, skill: Skill) -> list[tuple[SkillLink, str]]:
    """Return the links to show with their addresses."""
    return [(link, link.url_of(skill)) for link in _LINKS if link.shown_to(actor, skill)]
