from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from execfabric.core.actor import Actor
from execfabric.core.errors import DomainError
from execfabric.web.forms import SchemaForm, build_form
from execfabric.web.schema_fields import KeptFile
from skills.catalogue.models import SkillVersion
from skills.catalogue.samples import samples_of

from .files import SAMPLE, upload_file
from .inputs import file_ids
from .models import StoredFile
from .selectors import files_usable_by


class RejectForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=2000)


class RetentionForm(forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["days"] = forms.IntegerField(
            label=_("Days after an execution ended"),
            min_value=1,
            max_value=settings.FILES_KEPT_DAYS_MOST,
        )


def run_form(
    actor: Actor, version: SkillVersion, initial: Mapping[str, Any], **given: Any
) -> SchemaForm:
    """Return the form of version's inputs; initial holds the JSON values to start from.

    Files among them that actor uploaded are offered again, of others only the name is said; and
    so are the samples of the skill.
    """
    plain = {name: value for name, value in initial.items() if name not in version.file_inputs}
    form = build_form(version.input_schema, initial=plain, **given)
    for name in sorted(version.file_inputs):
        sent = [one for one in form.kept_wanted(name) if not one.startswith(SAMPLE)]
        wanted = file_ids(sent if form.is_bound else initial.get(name)) or []
        own = files_usable_by(actor).in_bulk(wanted)
        kept = [KeptFile(str(one), own[one].name) for one in wanted if one in own]
        form.offer_kept(name, [*kept, *_samples(version, form, name)])
        lost = [] if form.is_bound else [one for one in wanted if one not in own]
        names = StoredFile.objects.filter(pk__in=lost).values_list("name", flat=True)
        if names:
            form.say(name, _("Choose the file again: %(names)s") % {"names": ", ".join(names)})
    return form


def _samples(version: SkillVersion, form: SchemaForm, name: str) -> list[KeptFile]:
    """Return the samples that a file input of a form offers."""
    chosen = form.kept_wanted(name)
    return [
        KeptFile(
            f"{SAMPLE}{sample.path}",
            sample.path,
            label=_("Use the sample %(name)s") % {"name": sample.path},
            is_chosen=f"{SAMPLE}{sample.path}" in chosen,
        )
        for sample in samples_of(version)
    ]


def send_inputs(actor: Actor, form: SchemaForm) -> dict[str, Any] | None:
    """Upload the files of a valid form and return all its inputs; None when a file was refused.

    What was wrong with a file is then shown beside its field.
    """
    inputs = form.inputs()
    refused: dict[str, str] = {}
    kept = form.kept()
    for name, ids in kept.items():
        inputs[name] = ids if form.takes_several(name) else ids[0]
    for name, received in form.uploads().items():
        several = received if isinstance(received, list) else [received]
        try:
            stored = [upload_file(actor=actor, name=one.name or "", content=one) for one in several]
        except DomainError as error:
            refused[name] = error.message
            continue
        ids = [str(one.pk) for one in stored]
        inputs[name] = [*kept.get(name, []), *ids] if isinstance(received, list) else ids[0]
    if refused:
        form.add_field_errors(refused)
        return None
    return inputs
