from __future__ import annotations

from io import BytesIO
from wsgiref.util import FileWrapper

import pytest
from django.core.exceptions import DisallowedHost
from django.core.signals import request_finished
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from execfabric.web.wsgi_handler import WholeAnswersHandler


@pytest.fixture
def served(monkeypatch):
    """Answer requests with given responses; and a list with an entry for each that is over."""
    ends = []

    def note(**_signal):
        ends.append("ended")

    def serve(response, **environment):
        handler = WholeAnswersHandler()
        monkeypatch.setattr(handler, "get_response", lambda _request: response)
        environ = RequestFactory()._base_environ(**{"wsgi.input": BytesIO()}, **environment)
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


def test_a_file_is_left_to_a_server_that_sends_files_in_its_own_way(served):
    serve, ends = served
    file = BytesIO(b"content")

    sent = serve(FileResponse(file), **{"wsgi.file_wrapper": FileWrapper})

    assert isinstance(sent, FileWrapper)
    assert list(sent) == [b"content"]
    assert ends == []
    sent.close()
    assert ends == ["ended"]


def test_the_host_of_a_request_is_looked_at_once_and_a_wrong_one_is_refused_each_time(settings):
    settings.ALLOWED_HOSTS = ["acme.localhost"]
    environ = RequestFactory()._base_environ(HTTP_HOST="acme.localhost:8000")
    known = WholeAnswersHandler.request_class(environ)
    assert [known.get_host(), known.get_host()] == ["acme.localhost:8000"] * 2

    wrong = WholeAnswersHandler.request_class(environ | {"HTTP_HOST": "evil.example"})
    for _ in range(2):
        with pytest.raises(DisallowedHost):
            wrong.get_host()
