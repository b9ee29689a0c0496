from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from execfabric.core.actor import Actor
from execfabric.core.errors import DomainError
from execfabric.web.forms import SchemaForm, build_form
from skills.catalogue.models import SkillVersion

from .services import upload_file


class RejectForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=2000)


def run_form(version: SkillVersion, initial: Mapping[str, Any], **sent: Any) -> SchemaForm:
    """Return the form of version's inputs; initial holds JSON values, files are left out of it."""
    plain = {name: value for name, value in initial.items() if name not in version.file_inputs}
    return build_form(version.input_schema, initial=plain, **sent)


def send_inputs(actor: Actor, form: SchemaForm) -> dict[str, Any] | None:
    """Upload the files of a valid form and return all its inputs; None when a file was refused.

    What was wrong with a file is then shown beside its field.
    """
    inputs = form.inputs()
    refused: dict[str, str] = {}
    for name, received in form.uploads().items():
        several = received if isinstance(received, list) else [received]
        try:
            stored = [upload_file(actor=actor, name=one.name or "", content=one) for one in several]
        except DomainError as error:
            refused[name] = error.message
            continue
        ids = [str(one.pk) for one in stored]
        inputs[name] = ids if isinstance(received, list) else ids[0]
    if refused:
        form.add_field_errors(refused)
        return None
    return inputs
