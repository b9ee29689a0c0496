from __future__ import annotations

from io import BytesIO

import pytest
from django.core.signals import request_finished
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from execfabric.web.wsgi_handler import WholeAnswersHandler


@pytest.fixture
def served(monkeypatch):
    """Answer requests with given responses; and a list with an entry for each that is over."""
    ends = []

    def note(**_signal):
        ends.append("ended")

    def serve(response):
        handler = WholeAnswersHandler()
        monkeypatch.setattr(handler, "get_response", lambda _request: response)
        environ = RequestFactory()._base_environ(**{"wsgi.input": BytesIO()})
        return handler(environ, lambda *_head: None)

    request_finished.connect(note)
    yield serve, ends
    request_finished.disconnect(note)


def test_a_whole_answer_is_a_list_and_its_request_is_over(served):
    serve, ends = served

    assert serve(HttpResponse("done")) == [b"done"]
    assert ends == ["ended"]


def test_an_answer_in_pieces_is_left_to_the_server(served):
    serve, ends = served
    response = StreamingHttpResponse(iter([b"a", b"b"]))

    assert serve(response) is response
    assert ends == []
    response.close()
    assert ends == ["ended"]
