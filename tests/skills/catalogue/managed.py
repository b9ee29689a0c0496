"""Skills with several versions, and what is asked of them again and again."""

from __future__ import annotations

from skills.catalogue.models import Skill
from tests.factories.skills import GREET, make_skill

HI = GREET.replace("Hello", "Hi")
HEY = GREET.replace("Hello", "Hey")
INPUTS = """
[inputs.name]
type = "string"
title = "Name"
[inputs.times]
type = "integer"
default = 1
"""
TITLED = 'title = "Greet"\nrisk = "low"\nai_callable = true\ntags = ["hello"]'


def two_versions(name: str = "greet") -> Skill:
    make_skill(name, manifest=TITLED, inputs=INPUTS)
    make_skill(name, HI, manifest=TITLED, inputs=INPUTS)
    return Skill.objects.get(name=name)


def version(skill: Skill, number: int):
    return skill.versions.get(number=number)


def in_use(skill: Skill) -> int:
    return Skill.objects.get(pk=skill.pk).version.number
