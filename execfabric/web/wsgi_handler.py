from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler


class WholeAnswersHandler(WSGIHandler):
    """Hands an answer that is whole to the server as a list, which it sends at once.

    Of anything else the server sends the headers first and then asks for one piece after another.
    """

    def __call__(self, environ: Any, start_response: Any) -> Any:
        response: Any = super().__call__(environ, start_response)
        if response.streaming:
            return response
        try:
            return [response.content]
        finally:
            response.close()
