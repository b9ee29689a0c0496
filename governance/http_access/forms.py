from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from executors.http.resource import HttpResource

from .models import Confirmation, HttpCredential, HttpResourceVersion, Level, Style
from .services import Description

METHODS = [(name, name) for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")]
BODIES = [
    ("none", gettext_lazy("None")),
    ("json", "JSON"),
    ("form", gettext_lazy("Form")),
    ("text", gettext_lazy("Text")),
]
DEFAULTS = HttpResource(base_url="https://example.com")
CODE = {"spellcheck": "false", "autocapitalize": "none", "class": "font-monospace"}


def area(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={**CODE, "rows": rows})


class JsonField(forms.CharField):
    """JSON typed by a person; empty is an empty object."""

    widget = forms.Textarea

    def __init__(self, *, kind: type = dict, rows: int = 6, **options: Any) -> None:
        self.kind = kind
        super().__init__(required=False, widget=area(rows), max_length=200_000, **options)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.strip():
            return self.kind()
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("This is not JSON: %s") % error) from None
        if self.kind is dict and not isinstance(parsed, dict):
            raise forms.ValidationError(_("Write an object: names with values, in braces."))
        return parsed


class LinesField(forms.CharField):
    """Names with texts, one pair a line."""

    def __init__(self, separator: str, *, rows: int = 3, **options: Any) -> None:
        self.separator = separator
        super().__init__(required=False, widget=area(rows), max_length=100_000, **options)

    def clean(self, value: Any) -> dict[str, str]:
        pairs: dict[str, str] = {}
        for line in super().clean(value).splitlines():
            name, found, text = line.partition(self.separator)
            if not line.strip():
                continue
            if not found or not name.strip():
                raise forms.ValidationError(
                    _("%(line)s: write name %(separator)s text")
                    % {"line": line[:60], "separator": self.separator}
                )
            if name.strip() in pairs:
                raise forms.ValidationError(_("%s is there twice.") % name.strip())
            pairs[name.strip()] = text.strip()
        return pairs


def lines_of(pairs: dict[str, str], separator: str) -> str:
    return "\n".join(f"{name}{separator}{text}" for name, text in pairs.items())


class VersionForm(forms.Form):
    """One version of a resource. The rules are the executor's; here is the shape only."""

    title = forms.CharField(label=gettext_lazy("Title"), max_length=120)
    description = forms.CharField(
        label=gettext_lazy("Description"), max_length=2000, required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip
    base_url = forms.CharField(
        label=gettext_lazy("Base URL"), max_length=2000,
        help_text=gettext_lazy("Such as https://api.example.com/v2; never holds an input."),
        widget=forms.TextInput(attrs=CODE),
    )  # fmt: skip
    method = forms.ChoiceField(label=gettext_lazy("Method"), choices=METHODS)
    path = forms.CharField(
        label=gettext_lazy("Path"), max_length=2000, initial="/",
        help_text=gettext_lazy("{name} stands for an input, here and below."),
        widget=forms.TextInput(attrs=CODE),
    )  # fmt: skip
    query = LinesField(
        "=", label=gettext_lazy("Parameters"),
        help_text=gettext_lazy("One a line: name = text or {input}. Left out when the input is."),
    )  # fmt: skip
    headers = LinesField(
        ":", label=gettext_lazy("Headers"),
        help_text=gettext_lazy("One a line: Name: text. No secrets; those are credentials."),
    )  # fmt: skip
    body_kind = forms.ChoiceField(label=gettext_lazy("Body"), choices=BODIES)
    body = forms.CharField(
        label=gettext_lazy("Content of the body"), required=False, max_length=200_000,
        help_text=gettext_lazy('JSON such as {"text": "{text}"}; for a form name = text.'),
        widget=area(5),
    )  # fmt: skip
    inputs = JsonField(
        label=gettext_lazy("Inputs"),
        help_text=gettext_lazy("JSON, in the words of [inputs.x] in skill.toml, by name."),
    )
    outputs = LinesField(
        "=", label=gettext_lazy("Outputs"),
        help_text=gettext_lazy("One a line: name = JMESPath over the answer. Empty: all of it."),
    )  # fmt: skip
    output_fields = JsonField(
        label=gettext_lazy("What the outputs are"), rows=4,
        help_text=gettext_lazy("JSON, in the words of [outputs.x]. An answer must fit it."),
    )  # fmt: skip
    credential = forms.ModelChoiceField(
        label=gettext_lazy("Credential"), queryset=HttpCredential.objects.none(), required=False,
        empty_label=gettext_lazy("None"), to_field_name="name",
    )  # fmt: skip
    client_certificate = forms.ModelChoiceField(
        label=gettext_lazy("Client certificate"), queryset=HttpCredential.objects.none(),
        required=False, empty_label=gettext_lazy("None"), to_field_name="name",
    )  # fmt: skip
    ca = forms.CharField(
        label=gettext_lazy("Own certificate authority (PEM)"), required=False, max_length=100_000,
        help_text=gettext_lazy("Then no other one is trusted."), widget=area(3),
    )  # fmt: skip
    allowed_hosts = forms.CharField(
        label=gettext_lazy("Further hosts"), required=False, max_length=10_000,
        help_text=gettext_lazy("One a line: where redirects may lead beside the base URL."),
        widget=area(2),
    )  # fmt: skip
    timeout_s = forms.IntegerField(
        label=gettext_lazy("Time limit in seconds"), min_value=1, max_value=600,
        initial=DEFAULTS.timeout_s,
    )  # fmt: skip
    response_bytes = forms.IntegerField(
        label=gettext_lazy("Largest answer in bytes"), min_value=1, max_value=64 * 1024 * 1024,
        initial=DEFAULTS.response_bytes,
    )  # fmt: skip
    retries = forms.IntegerField(
        label=gettext_lazy("Further attempts"), min_value=0, max_value=5, initial=0,
        help_text=gettext_lazy("Of calls that change nothing."),
    )  # fmt: skip
    redirects = forms.IntegerField(
        label=gettext_lazy("Redirects followed"), min_value=0, max_value=5, initial=0
    )
    note = forms.CharField(label=gettext_lazy("Note"), max_length=200, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        usable = HttpCredential.objects.filter(revoked_at=None)
        certificate = Style.CLIENT_CERTIFICATE
        for name, rows in (
            ("credential", usable.exclude(style=certificate)),
            ("client_certificate", usable.filter(style=certificate)),
        ):
            self.fields[name].queryset = rows  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        try:
            cleaned["body_content"] = self._body(cleaned)
        except forms.ValidationError as error:
            self.add_error("body", error)
        return cleaned

    def _body(self, cleaned: dict[str, Any]) -> Any:
        kind, text = cleaned.get("body_kind"), cleaned.get("body", "")
        if kind == "json":
            return JsonField(kind=object).clean(text) if text.strip() else {}
        if kind == "form":
            return LinesField("=").clean(text)
        if kind == "none" and text.strip():
            raise forms.ValidationError(_("Choose what kind of body this is."))
        return text if kind == "text" else None

    def described(self) -> Description:
        """Return what a valid form describes."""
        given = self.cleaned_data
        body: dict[str, Any] = {"kind": given["body_kind"]}
        if given["body_kind"] != "none":
            body["content"] = given["body_content"]
        spec = {
            **{name: given[name] for name in ("base_url", "method", "path", "query", "headers")},
            "body": body,
            "outputs": given["outputs"],
            "tls": {"ca": given["ca"]} if given["ca"] else {},
            "allowed_hosts": given["allowed_hosts"].split(),
            **{
                name: given[name]
                for name in ("timeout_s", "response_bytes", "retries", "redirects")
            },
        }
        return Description(
            title=given["title"],
            spec=spec,
            description=given["description"],
            inputs=given["inputs"],
            output_fields=given["output_fields"],
            credential=given["credential"],
            client_certificate=given["client_certificate"],
            note=given["note"],
        )


class ResourceForm(VersionForm):
    """A new resource: a name, and its first version."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=60,
        help_text=gettext_lazy("It stays; tenants that run it see it as the name of the skill."),
        widget=forms.TextInput(attrs=CODE),
    )  # fmt: skip
    field_order = ("name",)


def initial_of(version: HttpResourceVersion) -> dict[str, Any]:
    """Return what the form of the next version starts with."""
    return {
        **initial_from(version.spec, version.inputs, version.output_fields),
        "title": version.title,
        "description": version.description,
        "credential": version.credential.name if version.credential else None,
        "client_certificate": (
            version.client_certificate.name if version.client_certificate else None
        ),
    }


def initial_from(spec: dict[str, Any], inputs: Any, output_fields: Any) -> dict[str, Any]:
    """Return a spec as the form shows it."""
    body = spec.get("body") or {}
    content = body.get("content")
    if body.get("kind") == "json":
        content = pretty(content)
    elif body.get("kind") == "form":
        content = lines_of(content or {}, " = ")
    plain = ("base_url", "method", "path", "timeout_s", "response_bytes", "retries", "redirects")
    return {
        **{name: spec[name] for name in plain if name in spec},
        "query": lines_of(spec.get("query", {}), " = "),
        "headers": lines_of(spec.get("headers", {}), ": "),
        "body_kind": body.get("kind", "none"),
        "body": content or "",
        "inputs": pretty(inputs) if inputs else "",
        "outputs": lines_of(spec.get("outputs", {}), " = "),
        "output_fields": pretty(output_fields) if output_fields else "",
        "ca": spec.get("tls", {}).get("ca", ""),
        "allowed_hosts": "\n".join(spec.get("allowed_hosts", [])),
    }


def pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


class WriteForm(forms.Form):
    method = forms.ChoiceField(
        label=gettext_lazy("Method"), choices=[one for one in METHODS if one[0][0] in "PD"]
    )
    path = forms.CharField(
        label=gettext_lazy("Path of the URL"), max_length=1000,
        help_text=gettext_lazy("* stands for one part: /v1/customers/*/notes"),
        widget=forms.TextInput(attrs=CODE),
    )  # fmt: skip
    limits = JsonField(
        label=gettext_lazy("Limits"), rows=2,
        help_text=gettext_lazy('JSON Schema by input: {"amount": {"maximum": 100}}'),
    )  # fmt: skip
    confirmation = forms.ChoiceField(
        label=gettext_lazy("Confirmation"), choices=Confirmation.choices
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=2000)


class AddressesForm(forms.Form):
    addresses = forms.CharField(
        label=gettext_lazy("Hosts, addresses, ranges"), required=False, max_length=5000,
        help_text=gettext_lazy(
            "One a line, such as crm.intra:443, or 10.1.2.3 where the base URL has it."
        ),
        widget=area(2),
    )  # fmt: skip
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=2000)


class GrantForm(forms.Form):
    tenant = forms.ChoiceField(label=gettext_lazy("Tenant"))
    level = forms.ChoiceField(label=gettext_lazy("Level"), choices=Level.choices)
    skill_name = forms.CharField(
        label=gettext_lazy("Name of the skill"), required=False, max_length=60,
        help_text=gettext_lazy("Empty: the name of the resource."),
        widget=forms.TextInput(attrs=CODE),
    )  # fmt: skip
    ai_callable = forms.BooleanField(
        label=gettext_lazy("The assistant may offer it"), required=False
    )

    def __init__(self, *args: Any, tenants: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["tenant"].choices = [(one.name, one.title) for one in tenants]  # type: ignore[attr-defined]


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=2000)


class ImportForm(forms.Form):
    document = forms.CharField(
        label=gettext_lazy("OpenAPI document"), max_length=2_000_000,
        help_text=gettext_lazy("Version 3, JSON or YAML. Nothing is fetched."), widget=area(12),
    )  # fmt: skip
    operation = forms.CharField(required=False, max_length=2000, widget=forms.HiddenInput)
