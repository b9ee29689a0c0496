from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from execfabric.web.templatetags.web import risk_badge, status_badge, timesince_short
from skills.hot_update.models import Submission
from skills.hot_update.states import SubmissionStatus


def page_of(submission: Submission) -> str:
    return reverse("governance:review-detail", args=[submission.pk])


class SubmissionTable(tables.Table):
    """The queue, what waits longest first."""

    skill_name = tables.Column(_("Skill"))
    tenant = tables.Column(_("Tenant"), accessor="tenant__title")
    risk = tables.Column(_("Risk"), orderable=False)
    status = tables.Column(_("Status"), orderable=False)
    sent_by = tables.Column(_("By"))
    sent_at = tables.Column(_("Since"))

    class Meta:
        row_attrs = {"data-row-link": page_of}
        order_by = "sent_at"

    def render_skill_name(self, value: str, record: Any) -> Any:
        return format_html(
            '<span><a class="fw-medium text-reset text-break" href="{}">{}</a>'
            ' <span class="text-secondary">r{}</span></span>',
            page_of(record),
            value,
            record.revision_number,
        )

    def render_risk(self, value: str) -> Any:
        return risk_badge(value)

    def render_status(self, record: Submission) -> Any:
        return status_badge(SubmissionStatus(record.status))

    def render_sent_at(self, value: Any) -> Any:
        return timesince_short(value)
