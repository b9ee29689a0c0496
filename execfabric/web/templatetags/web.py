"""Tags and filters of the console: ``{% load web %}``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import forms, template
from django.db import models
from django.forms.boundfield import BoundField
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from execfabric.core.permissions import can
from execfabric.web import components
from execfabric.web.audit.links import trail_of

register = template.Library()

_MESSAGE_LOOKS = {
    "error": ("danger", "alert-circle"),
    "warning": ("warning", "alert-triangle"),
    "success": ("success", "circle-check"),
}


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """Show an outline icon. Without a label it is decoration and hidden from screen readers."""
    body = components.icon_body(str(name)) or components.icon_body(components.FALLBACK_ICON) or ""
    described = format_html('role="img" aria-label="{}"', label)
    return format_html(
        '<svg class="icon {}" width="24" height="24" viewBox="0 0 24 24" fill="none"'
        ' stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'
        " {}>{}</svg>",
        css,
        described if label else mark_safe('aria-hidden="true"'),
        mark_safe(body),  # noqa: S308  # from the icon package, not from users
    )


@register.simple_tag
def status_badge(status: Any, label: str = "") -> SafeString:
    """Show a state as a coloured badge; the text says it too, colour alone would not do."""
    code = str(getattr(status, "value", status))
    return format_html(
        '<span class="status-badge status-badge-{}{}">{}</span>',
        components.status_colour(code),
        " is-live" if code in components.LIVE_STATUSES else "",
        label or getattr(status, "label", "") or components.status_label(code),
    )


@register.simple_tag
def risk_badge(risk: Any) -> SafeString:
    """Show the risk of a skill."""
    code = str(getattr(risk, "value", risk))
    return status_badge(code, f"{components.status_label(code)} risk")


@register.simple_tag
def timesince_short(moment: datetime | None) -> SafeString:
    """Show how long ago moment was, with the full time on hover; a dash for none."""
    if moment is None:
        return mark_safe('<span class="text-secondary">–</span>')
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        components.full_moment(moment),
        components.short_age(moment, timezone.now()),
    )


@register.simple_tag
def exact_time(moment: datetime | None) -> SafeString:
    """Show date, time and zone, with the moment in ISO 8601 on hover; a dash for none."""
    if moment is None:
        return mark_safe('<span class="text-secondary">–</span>')
    return format_html(
        '<time datetime="{0}" title="{0}">{1}</time>',
        moment.isoformat(),
        components.full_moment(moment),
    )


@register.filter
def door_name(door: str) -> str:
    """Return what people call an entry; one of another release stands for itself."""
    return str(components.DOOR_NAMES.get(door, door))


@register.filter
def person_name(username: str) -> str:
    """Return who did something for a list of people; the system acts for the platform."""
    return gettext("the platform") if username.startswith("system:") else username


@register.filter
def duration(value: Any) -> str:
    """Show seconds or a timedelta; a dash for none."""
    return "–" if value in (None, "") else components.short_duration(value)


@register.filter
def filesize_iec(size_bytes: Any) -> str:
    """Show bytes in binary units; a dash for none."""
    return "–" if size_bytes in (None, "") else components.iec_size(int(size_bytes))


@register.filter
def markdown(text: str | None) -> SafeString:
    """Show Markdown; what it may contain is limited in components.markdown_html."""
    return mark_safe(components.markdown_html(text or ""))  # noqa: S308  # sanitised there


@register.filter
def message_colour(tags: str) -> str:
    """Return the alert colour of a Django message."""
    return next((look[0] for tag, look in _MESSAGE_LOOKS.items() if tag in tags), "info")


@register.filter
def message_icon(tags: str) -> str:
    return next((look[1] for tag, look in _MESSAGE_LOOKS.items() if tag in tags), "info-circle")


@register.simple_tag(takes_context=True)
def trail_link(context: template.Context, target: models.Model, label: str = "") -> SafeString:
    """A link to what the audit trail says about an object, for who may read the trail."""
    request = context.get("request")
    actor = getattr(request, "actor", None)
    if actor is None or not can(actor, "core.audit.read"):
        return SafeString("")
    url = f"{reverse('audit:event-list')}?{trail_of(target)}"
    return format_html(
        '<a class="trail-link" href="{}">{}</a>', url, label or gettext("Audit trail")
    )


@register.inclusion_tag("web/components/fields.html")
def form_fields(form: forms.BaseForm) -> dict[str, Any]:
    """Show a form's errors and all its fields, without the form element."""
    return {"form": form}


@register.inclusion_tag("web/components/field.html")
def form_field(field: BoundField) -> dict[str, Any]:
    """Show one field with label, help and errors."""
    kind = _widget_kind(field.field.widget)
    return {
        "field": field,
        "kind": kind,
        "control": SafeString() if field.is_hidden else _control(field, kind),
        "notice": getattr(field.field, "notice", ""),
        "required": field.field.required,
        "optional": not field.field.required and not field.field.disabled,
    }


@register.inclusion_tag("web/components/filters.html")
def filter_form(form: forms.BaseForm, *, label: str = "Filter") -> dict[str, Any]:
    """Show a django-filter form in one row that submits itself on every change."""
    return {"form": form, "label": label}


@register.inclusion_tag("web/components/empty.html")
def empty_state(
    title: str, text: str = "", icon: str = "inbox", url: str = "", action: str = ""
) -> dict[str, str]:
    """Show that there is nothing yet, and what to do about it."""
    return {"title": title, "text": text, "icon": icon, "url": url, "action": action}


@register.inclusion_tag("web/components/breadcrumb.html")
def breadcrumb(*parts: str) -> dict[str, Any]:
    """Show the way to this page: label, url, label, url, …, label of this page."""
    pairs = list(zip(parts[:-1:2], parts[1:-1:2], strict=True))
    return {"links": pairs, "here": parts[-1]}


@register.inclusion_tag("web/components/key_values.html")
def key_values(items: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Show labels and values as a definition list."""
    return {"items": list(items.items()) if isinstance(items, Mapping) else list(items)}


@register.inclusion_tag("web/components/code.html")
def code_block(value: Any, *, label: str = "", wrap: bool = False) -> dict[str, Any]:
    """Show text, or any other value as JSON, with a copy button."""
    text = value if isinstance(value, str) else components.pretty_json_text(value)
    return {"text": text, "label": label, "wrap": wrap}


@register.inclusion_tag("web/components/confirm.html", takes_context=True)
def confirm_dialog(  # a template tag has only its arguments
    context: template.Context,
    dialog_id: str,
    *,
    title: str,
    url: str,
    text: str = "",
    action: str = "Confirm",
    danger: bool = False,
    reason: str = "",
) -> dict[str, Any]:
    """A dialog that posts to url; a button with ``data-dialog="<dialog_id>"`` opens it.

    With reason it holds a required text field of that label, sent as "reason".
    """
    return {
        "csrf_token": context.get("csrf_token"),
        "id": dialog_id,
        "title": title,
        "url": url,
        "text": text,
        "action": action,
        "danger": danger,
        "reason": reason,
    }


def _widget_kind(widget: forms.Widget) -> str:
    """Return which of the looks in field.html a widget gets."""
    kinds: tuple[tuple[type[forms.Widget], str], ...] = (
        (forms.CheckboxSelectMultiple, "checks"),
        (forms.RadioSelect, "radios"),
        (forms.CheckboxInput, "switch"),
        (forms.FileInput, "file"),
        (forms.Select, "select"),
    )
    return next((kind for type_, kind in kinds if isinstance(widget, type_)), "text")


def _control(field: BoundField, kind: str) -> SafeString:
    """Return the widget with the classes and descriptions its look needs."""
    classes = {"select": "form-select", "switch": "form-check-input"}.get(kind, "form-control")
    own = field.field.widget.attrs.get("class", "")
    invalid = "is-invalid" if field.errors else ""
    attrs: dict[str, str | bool] = {
        "class": " ".join(part for part in (classes, own, invalid) if part)
    }
    described = [
        f"{field.auto_id}_{part}"
        for part, there in (("helptext", field.help_text), ("error", field.errors))
        if there
    ]
    if described:
        attrs["aria-describedby"] = " ".join(described)
    return field.as_widget(attrs=attrs)
