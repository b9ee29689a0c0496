from __future__ import annotations

import io

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django_tables2 import RequestConfig

from execfabric.core.permissions import can
from execfabric.web.downloads import send_file
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from .filters import SkillFilter
from .models import Skill, SkillVersion
from .run_desk import Panel, run_desk
from .samples import read_sample, samples_of
from .selectors import skills_visible_to
from .skill_links import links_of
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


class SkillView(ConsoleView):
    """Base of everything about one skill; 404 when the actor may not see it."""

    def skill(self, name: str) -> Skill:
        return get_object_or_404(skills_visible_to(self.request.actor), name=name)

    def bound(self, skill: Skill) -> SkillVersion:
        if skill.version is None:
            raise Http404  # Never: only skills with a bound version are visible.
        return skill.version


class SkillDetail(SkillView):
    """A skill, and the form that runs it."""

    template_name = "catalogue/skill_detail.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        return self._page(skill, run_desk().show(request, skill))

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        answer = run_desk().run(request, skill)
        return self._page(skill, answer) if isinstance(answer, Panel) else answer

    def _page(self, skill: Skill, panel: Panel) -> HttpResponse:
        version = self.bound(skill)
        script = version.script_version
        environment = script.environment if script else None
        return self.render(
            status=panel.status,
            skill=skill,
            version=version,
            environment=environment,
            packages=environment.packages if environment else [],
            samples=samples_of(version),
            links=links_of(self.request.actor, skill),
            outputs=version.output_schema.get("properties", {}),
            panel_template=panel.template_name,
            panel=panel.context,
        )


class SampleDownload(SkillView):
    def get(self, request: ConsoleRequest, name: str, path: str) -> HttpResponseBase:
        content = read_sample(self.bound(self.skill(name)), path)
        return send_file(io.BytesIO(content), name=path, size_bytes=len(content))
