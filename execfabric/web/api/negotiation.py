from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class PlainNegotiation(DefaultContentNegotiation):
    """Knows at once what is to be said where there is one choice and the client takes it."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderers = list(renderers)
        first = renderers[0]
        wanted = request.META.get("HTTP_ACCEPT", "*/*")
        may_name_format = format_suffix or "format" in request.META.get("QUERY_STRING", "")
        if len(renderers) == 1 and wanted in ("*/*", first.media_type) and not may_name_format:
            return first, str(first.media_type)
        chosen: Any = super().select_renderer(request, renderers, format_suffix)
        return chosen
