from __future__ import annotations

import django_tables2 as tables

UNLISTED = ("version__readme", "version__input_schema", "version__output_schema")
"""Fields a list of skills does not show, and which can be long."""


class SkillTable(tables.Table):
    """The catalogue, a page at a time; drawn as cards."""

    class Meta:
        template_name = "catalogue/skill_cards.html"
        orderable = False
