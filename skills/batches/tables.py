from __future__ import annotations

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from execfabric.web.templatetags.web import status_badge, timesince_short

from .models import Batch
from .states import BatchStatus


def page_of(batch: Batch) -> str:
    return reverse("batches:batch-detail", args=[batch.pk])


class BatchTable(tables.Table):
    """Batches, newest first; needs skill, version and requester selected along."""

    name = tables.Column(_("Batch"), orderable=False)
    status = tables.Column(_("Status"), orderable=False)
    rows_over = tables.Column(
        _("Rows"),
        empty_values=(),
        orderable=False,
        attrs={"td": {"class": "num"}, "th": {"class": "num"}},
    )
    who = tables.Column(_("Who"), accessor="requested_by", orderable=False)
    created_at = tables.Column(_("Made"), order_by=("id",))

    class Meta:
        row_attrs = {"data-row-link": page_of}
        attrs = {"class": "table batches"}

    def render_name(self, record: Batch) -> SafeString:
        return format_html(
            '<a class="batch-link" href="{}">{}</a>'
            '<span class="d-block small text-secondary">{}</span>',
            page_of(record),
            record.version.title,
            record.name,
        )

    def render_status(self, record: Batch) -> SafeString:
        return status_badge(BatchStatus(record.status))

    def render_rows_over(self, record: Batch) -> SafeString:
        failed = (
            format_html(
                '<span class="d-block small text-danger">{} {}</span>',
                record.failed_rows,
                _("failed"),
            )
            if record.failed_rows
            else ""
        )
        return format_html("{} / {}{}", record.over_rows, record.valid_rows, failed)

    def render_who(self, record: Batch) -> str:
        return str(record.requested_by.get_full_name())

    def render_created_at(self, record: Batch) -> SafeString:
        return timesince_short(record.created_at)
