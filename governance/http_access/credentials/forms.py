"""Forms of credentials. What was typed as a secret is never sent back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..forms import CODE, area
from ..models import Style
from .services import secret_names

SECRET_LABELS = {
    "value": gettext_lazy("Key"),
    "token": gettext_lazy("Token"),
    "username": gettext_lazy("User name"),
    "password": gettext_lazy("Password"),
    "client_id": gettext_lazy("Client id"),
    "client_secret": gettext_lazy("Client secret"),
    "key_id": gettext_lazy("Id of the key"),
    "secret": gettext_lazy("Shared secret"),
    "client_certificate": gettext_lazy("Certificate (PEM)"),
    "client_key": gettext_lazy("Private key (PEM)"),
}


class SecretsForm(forms.Form):
    """The secrets of one style. What was typed is never sent back."""

    def __init__(self, *args: Any, style: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.style = style
        for name in secret_names(style):
            is_long = style == Style.CLIENT_CERTIFICATE
            self.fields[name] = forms.CharField(
                label=SECRET_LABELS[name],
                max_length=100_000,
                strip=is_long,
                widget=area(4)
                if is_long
                else forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
            )
        self.fields["expires_on"] = forms.DateTimeField(
            label=gettext_lazy("Ends at (UTC)"),
            required=False,
            help_text=gettext_lazy("A month before, the platform says so. Afterwards it is void."),
            widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        )

    def secrets(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in secret_names(self.style)}


SETTINGS: dict[str, tuple[str, ...]] = {
    Style.API_KEY: ("name", "place", "prefix"),
    Style.OAUTH2: ("token_url", "scope", "audience", "client_in"),
    Style.HMAC: ("name", "algorithm", "encoding", "timestamp_header", "key_header"),
}
PLACES = [("header", gettext_lazy("Header")), ("query", gettext_lazy("Parameter"))]


def _settings_fields() -> dict[str, forms.Field]:
    return {
        "name": forms.CharField(
            label=_("Name of header or parameter"), max_length=100, initial="X-Api-Key"
        ),
        "place": forms.ChoiceField(label=_("Where it is sent"), choices=PLACES),
        "prefix": forms.CharField(
            label=_("Text before it"), max_length=100, required=False, strip=False
        ),
        "token_url": forms.CharField(label=_("Token URL"), max_length=2000),
        "scope": forms.CharField(label=_("Scope"), max_length=2000, required=False),
        "audience": forms.CharField(label=_("Audience"), max_length=2000, required=False),
        "client_in": forms.ChoiceField(
            label=_("Client is named in"), choices=[("header", _("Header")), ("body", _("Body"))]
        ),
        "algorithm": forms.ChoiceField(
            label=_("Algorithm"), choices=[("sha256", "SHA-256"), ("sha512", "SHA-512")]
        ),
        "encoding": forms.ChoiceField(
            label=_("Written as"), choices=[("hex", "hex"), ("base64", "base64")]
        ),
        "timestamp_header": forms.CharField(
            label=_("Header of the time"), max_length=100, initial="X-Timestamp"
        ),
        "key_header": forms.CharField(
            label=_("Header of the key's id"), max_length=100, initial="X-Key-Id"
        ),
    }


def named_settings(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is set, each under its label in the form."""
    fields = _settings_fields()
    return [
        (str(fields[name].label) if name in fields else name, str(value))
        for name, value in settings.items()
        if value
    ]


class CredentialForm(SecretsForm):
    """A new credential of one style."""

    slug = forms.CharField(
        label=gettext_lazy("Name"), max_length=60, widget=forms.TextInput(attrs=CODE)
    )
    title = forms.CharField(label=gettext_lazy("Title"), max_length=120, required=False)

    def __init__(self, *args: Any, style: str, **options: Any) -> None:
        super().__init__(*args, style=style, **options)
        made = _settings_fields()
        for name in SETTINGS.get(style, ()):
            self.fields[name] = made[name]
        self.order_fields(["slug", "title", *SETTINGS.get(style, ())])

    def settings(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in SETTINGS.get(self.style, ())}
