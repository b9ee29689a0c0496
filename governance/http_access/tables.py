from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from execfabric.web.templatetags.web import status_badge, timesince_short

from .models import HttpCredential, HttpResource


def page_of(resource: HttpResource) -> str:
    return reverse("http_access:resource-detail", args=[resource.name])


def page_of_credential(credential: HttpCredential) -> str:
    return reverse("http_access:credential-detail", args=[credential.name])


class ResourceTable(tables.Table):
    name = tables.Column(_("Resource"))
    latest = tables.Column(_("Version"), orderable=False)
    state = tables.Column(_("Status"), empty_values=(), orderable=False)
    created_at = tables.Column(_("Created"))

    class Meta:
        row_attrs = {"data-row-link": page_of}

    def render_name(self, value: str, record: HttpResource) -> Any:
        return format_html(
            '<a class="fw-medium text-reset text-break" href="{}">{}</a>', page_of(record), value
        )

    def render_state(self, record: HttpResource) -> Any:
        return status_badge("active" if record.is_enabled else "disabled")

    def render_created_at(self, value: Any) -> Any:
        return timesince_short(value)


class CredentialTable(tables.Table):
    name = tables.Column(_("Credential"))
    style = tables.Column(_("Style"))
    version = tables.Column(_("Version"), orderable=False)
    state = tables.Column(_("Status"), empty_values=(), orderable=False)
    expires_at = tables.Column(_("Ends"), default="–")

    class Meta:
        row_attrs = {"data-row-link": page_of_credential}

    def render_name(self, value: str, record: HttpCredential) -> Any:
        return format_html(
            '<a class="fw-medium text-reset text-break" href="{}">{}</a>',
            page_of_credential(record),
            value,
        )

    def render_state(self, record: HttpCredential) -> Any:
        return status_badge(record.status_at(timezone.now()))
