from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest

from execfabric.core.memory import give_back_in_background


class HostKnownRequest(WSGIRequest):
    """Takes its host apart and checks it once, not each time somebody asks."""

    _host: str | None = None

    def get_host(self) -> str:
        if self._host is None:
            self._host = super().get_host()
        return self._host


class WholeAnswersHandler(WSGIHandler):
    """Hands an answer that is whole to the server as a list, which it sends at once.

    Of anything else the server sends the headers first and then asks for one piece after another.
    A file is such, whether as a response or as what a server with a wrapper of its own made of it.
    """

    request_class = HostKnownRequest

    def __call__(self, environ: Any, start_response: Any) -> Any:
        give_back_in_background()  # The server may have forked since this was made.
        response: Any = super().__call__(environ, start_response)
        if getattr(response, "streaming", True):
            return response
        try:
            return [response.content]
        finally:
            response.close()
