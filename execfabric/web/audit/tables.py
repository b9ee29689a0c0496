from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from execfabric.core.models import AuditEvent, Outcome
from execfabric.core.permissions import PERMISSIONS
from execfabric.web.audit.links import page_of_target
from execfabric.web.templatetags.web import door_name, status_badge, timesince_short


def cell(name: str) -> dict[str, dict[str, str]]:
    return {"td": {"class": f"audit-{name}"}}


class EventTable(tables.Table):
    """Audit events, newest first; a second line per event holds the rest of it."""

    at = tables.Column(_("Time"), order_by=("id",), attrs=cell("at"))
    actor_name = tables.Column(_("Who"), orderable=False, attrs=cell("who"))
    code = tables.Column(_("What"), orderable=False, attrs=cell("code"))
    target_label = tables.Column(
        _("Object"), orderable=False, empty_values=(), attrs=cell("target")
    )
    outcome = tables.Column(_("Outcome"), orderable=False, attrs=cell("outcome"))
    door = tables.Column(_("Through"), orderable=False, attrs=cell("door"))
    more = tables.TemplateColumn(
        template_name="audit/more.html",
        verbose_name="",
        orderable=False,
        empty_values=(),
        attrs=cell("toggle-cell"),
    )

    class Meta:
        attrs = {"class": "table audit"}
        template_name = "audit/event_table.html"

    def render_at(self, value: Any) -> Any:
        return timesince_short(value)

    def render_code(self, value: str) -> str:
        return title_of(value)

    def render_target_label(self, value: str, record: AuditEvent) -> Any:
        url = page_of_target(record)
        if not url:
            return value or tried_username(record) or self.default
        return format_html('<a class="audit-object" href="{}">{}</a>', url, short_label(record))

    def render_outcome(self, record: AuditEvent) -> Any:
        colour = {"done": "succeeded", "refused": "pending", "failed": "failed"}
        return status_badge(colour[record.outcome], Outcome(record.outcome).label)

    def render_door(self, value: str) -> str:
        return door_name(value)


def title_of(code: str) -> str:
    """Return what people call an act; a code of an older release stands for itself."""
    permission = PERMISSIONS.get(code)
    return permission.title if permission else code


def short_label(event: AuditEvent) -> str:
    """Return the object's name; an execution's without its id, which is in the details."""
    return event.target_label.removesuffix(f" {event.target_id}")


def tried_username(event: AuditEvent) -> str:
    """Return the username given with an act that came to no object, such as a refused login."""
    return str(event.details.get("username") or "")


class LoginTable(EventTable):
    """The login log: who tried, from where, with what, and what came of it."""

    door = None
    code = tables.Column(_("What"), orderable=False, attrs=cell("code"))
    target_label = None
    actor_name = tables.Column(_("Account"), orderable=False, empty_values=(), attrs=cell("target"))
    address = tables.Column(_("Address"), orderable=False, default="–", attrs=cell("who"))
    reason = tables.Column(_("Reason"), orderable=False, default="–", attrs=cell("reason-cell"))
    agent = tables.Column(
        _("Agent"), accessor="details__agent", orderable=False, default="–", attrs=cell("agent")
    )

    class Meta(EventTable.Meta):
        sequence = ("at", "actor_name", "code", "outcome", "reason", "address", "agent", "more")

    def render_actor_name(self, value: str, record: AuditEvent) -> str:
        return tried_username(record) or value
