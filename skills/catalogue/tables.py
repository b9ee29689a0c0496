from __future__ import annotations

import django_tables2 as tables


class SkillTable(tables.Table):
    """The catalogue, a page at a time; drawn as cards."""

    class Meta:
        template_name = "catalogue/skill_cards.html"
        orderable = False
