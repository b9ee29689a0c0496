from __future__ import annotations

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from execfabric.web.templatetags.web import status_badge, timesince_short

from ..models import Submission
from ..states import SubmissionStatus


def page_of(submission: Submission) -> str:
    return reverse("submissions:submission-detail", args=[submission.pk])


class SubmissionTable(tables.Table):
    """Submissions, newest first."""

    skill_name = tables.Column(_("Skill"), orderable=False)
    status = tables.Column(_("Status"), orderable=False)
    submitted_by = tables.Column(_("Who"), orderable=False)
    created_at = tables.Column(_("Submitted"), order_by=("id",))
    changed_at = tables.Column(_("Last change"), orderable=False)

    class Meta:
        row_attrs = {"data-row-link": page_of}
        attrs = {"class": "table submissions"}

    def render_skill_name(self, value: str, record: Submission) -> SafeString:
        return format_html('<a class="submission-link" href="{}">{}</a>', page_of(record), value)

    def render_status(self, record: Submission) -> SafeString:
        status = SubmissionStatus(record.status)
        return status_badge(status, str(status.label))

    def render_created_at(self, record: Submission) -> SafeString:
        return timesince_short(record.created_at)

    def render_changed_at(self, record: Submission) -> SafeString:
        return timesince_short(record.changed_at)
