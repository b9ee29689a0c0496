"""Sending files of executions to people, one by one or all together."""

from __future__ import annotations

from functools import partial

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from execfabric.core.errors import NotFound
from execfabric.web.downloads import send_archive, send_file

from . import previews
from .contents import open_content
from .models import Artifact, Execution, StoredFile

SHOWN_FOR = "private, max-age=3600"


def download(file: Artifact | StoredFile) -> HttpResponseBase:
    return send_file(open_content(file), name=file.name, size_bytes=file.size_bytes)


def download_all(execution: Execution) -> HttpResponseBase:
    """Answer with all artifacts of execution as one ZIP file, made while it is sent."""
    artifacts = list(execution.artifacts.all())
    if not artifacts:
        raise NotFound(_("This execution made no files."))
    open_content(artifacts[0]).close()  # What is gone is said now, not in the middle.
    entries = [(one.name, one.size_bytes, partial(open_content, one)) for one in artifacts]
    name = f"{execution.skill.name}-{execution.pk}.zip"
    return send_archive(entries, name=name, made_at=execution.finished_at or timezone.now())


def shown(file: Artifact | StoredFile, kind: str) -> HttpResponseBase:
    """Answer with an image or PDF itself; 404 for anything but what browsers show safely."""
    if kind not in previews.SHOWN_BY_BROWSER or previews.kind_of(file) != kind:
        raise Http404
    content = open_content(file)
    media_type = previews.shows_itself(file, content)
    if not media_type:
        content.close()
        raise Http404
    response = send_file(
        content,
        name=file.name,
        size_bytes=file.size_bytes,
        shown_as=media_type,
        framed=kind == "pdf",
    )
    response["Cache-Control"] = SHOWN_FOR
    return response
