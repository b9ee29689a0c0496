from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from execfabric.web.templatetags.web import duration, status_badge, timesince_short

from .models import Execution
from .presentation import took_s
from .states import Status


def page_of(execution: Execution) -> str:
    return reverse("executions:execution-detail", args=[execution.pk])


class ExecutionTable(tables.Table):
    """Executions, newest first; needs skill, version and requester selected along."""

    skill = tables.Column(_("Skill"), accessor="version__title", orderable=False)
    status = tables.Column(_("Status"), orderable=False)
    who = tables.Column(
        _("Who"),
        accessor="requested_by",
        orderable=False,
        default="–",
        attrs={"td": {"class": "execution-who"}},
    )
    created_at = tables.Column(
        _("Asked for"), order_by=("id",), attrs={"td": {"class": "execution-at"}}
    )
    took = tables.Column(
        _("Duration"),
        accessor="wall_s",
        empty_values=(),
        attrs={"td": {"class": "num execution-took"}, "th": {"class": "num"}},
    )

    class Meta:
        row_attrs = {"data-row-link": page_of}
        attrs = {"class": "table executions"}

    def render_skill(self, value: str, record: Execution) -> SafeString:
        return format_html(
            '<a class="execution-link" id="execution-{}" href="{}">{}</a>',
            record.pk,
            page_of(record),
            value,
        )

    def render_status(self, record: Execution) -> SafeString:
        badge = status_badge(Status(record.status))
        if record.status != Status.RUNNING or record.progress_fraction is None:
            return badge
        percent = f"{record.progress_fraction:.0%}"
        return format_html('{} <span class="small text-secondary">{}</span>', badge, percent)

    def render_who(self, value: Any) -> str:
        return str(value.get_full_name())

    def render_created_at(self, record: Execution) -> SafeString:
        return timesince_short(record.created_at)

    def render_took(self, record: Execution) -> str:
        return duration(took_s(record))
