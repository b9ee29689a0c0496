"""Answers with what came of a batch. Tables and archives are made while they are sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from django.http import FileResponse, StreamingHttpResponse

from execfabric.web.security import CSP_HEADER, UNTRUSTED_FILE_POLICY

from .archive import as_zip
from .models import Batch
from .results import ResultTable, as_csv, as_xlsx

CSV = "text/csv; charset=utf-8"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP = "application/zip"
Answer = TypeVar("Answer", bound=StreamingHttpResponse)


def result_csv(batch: Batch) -> StreamingHttpResponse:
    return _attached(as_csv(ResultTable(batch)), CSV, _name(batch, "csv"))


def result_xlsx(batch: Batch) -> FileResponse:
    file = as_xlsx(ResultTable(batch))
    response = FileResponse(
        file, as_attachment=True, filename=_name(batch, "xlsx"), content_type=XLSX
    )
    return _guarded(response)


def artifacts_zip(batch: Batch) -> StreamingHttpResponse:
    return _attached(as_zip(batch), ZIP, _name(batch, "zip"))


def _name(batch: Batch, ending: str) -> str:
    return f"{batch.skill.name}-{batch.pk}.{ending}"


def _attached(pieces: Iterable[bytes], media_type: str, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(pieces, content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return _guarded(response)


def _guarded(response: Answer) -> Answer:
    response[CSP_HEADER] = UNTRUSTED_FILE_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    return response
