from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from .models import Skill
from .selectors import search_skills, tags_of


class SkillFilter(django_filters.FilterSet):
    """Search words and one tag, out of those the visible skills carry."""

    q = django_filters.CharFilter(
        label=_("Search"),
        method="with_words",
        widget=forms.SearchInput(attrs={"placeholder": _("Name, text or tag")}),
    )
    tag = django_filters.ChoiceFilter(label=_("Tag"), method="with_tag", empty_label=_("All tags"))

    def __init__(self, data: Any, *, queryset: QuerySet[Skill]) -> None:
        super().__init__(data, queryset=queryset)
        self.filters["tag"].extra["choices"] = [(tag, tag) for tag in tags_of(queryset)]

    def with_words(self, skills: QuerySet[Skill], _name: str, words: str) -> QuerySet[Skill]:
        return search_skills(skills, text=words)

    def with_tag(self, skills: QuerySet[Skill], _name: str, tag: str) -> QuerySet[Skill]:
        return search_skills(skills, tag=tag)
