from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django_tables2 import RequestConfig

from execfabric.core.permissions import can
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from .filters import SkillFilter
from .models import Skill
from .run_desk import Panel, run_desk
from .selectors import skills_visible_to
from .tables import UNLISTED, SkillTable

PER_PAGE = 24


class SkillList(ConsoleView):
    template_name = "catalogue/skill_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        found = SkillFilter(request.GET, queryset=skills_visible_to(request.actor))
        table = SkillTable(found.qs.defer(*UNLISTED))
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        sees_all = can(request.actor, "catalogue.skill.read_all")
        return self.render(filter=found, table=table, sees_all=sees_all)


class SkillDetail(ConsoleView):
    """A skill, and the form that runs it."""

    template_name = "catalogue/skill_detail.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self._skill(name)
        return self._page(skill, run_desk().show(request, skill))

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self._skill(name)
        answer = run_desk().run(request, skill)
        return self._page(skill, answer) if isinstance(answer, Panel) else answer

    def _skill(self, name: str) -> Skill:
        return get_object_or_404(skills_visible_to(self.request.actor), name=name)

    def _page(self, skill: Skill, panel: Panel) -> HttpResponse:
        version = skill.version
        if version is None:
            raise Http404  # Never: only skills with a bound version are visible.
        return self.render(
            status=panel.status,
            skill=skill,
            version=version,
            outputs=version.output_schema.get("properties", {}),
            panel_template=panel.template_name,
            panel=panel.context,
        )
