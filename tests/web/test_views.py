from __future__ import annotations

import json
from typing import Any

import django_tables2 as tables
import pytest
from django import forms
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse

from execfabric.core.errors import Conflict, DomainError, InvalidInput, NotFound
from execfabric.core.request_context import request_id_scope
from execfabric.web import menu, views
from execfabric.web.views import ConsoleView
from tests.web.conftest import MakeRequest


class NameForm(forms.Form):
    name = forms.CharField()


class Things(ConsoleView):
    template_name = "things.html"
    partial_name = "list"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.render()


class Refusing(ConsoleView):
    template_name = "things.html"
    error: DomainError = Conflict("It has already ended.")

    def get(self, request: HttpRequest) -> HttpResponse:
        raise self.error

    post = get


def content(response: Any) -> str:
    return str(response.content.decode())


def test_a_page_has_shell_menu_brand_and_actor(make_request: MakeRequest) -> None:
    menu.set_brand_source(lambda request: menu.Brand(name="Acme & Sons", accent="teal"))
    menu.set_menu_source(lambda request: [menu.MenuEntry("Skills", "/skills/", badge="3")])
    menu.set_account_menu_source(
        lambda request: [menu.MenuEntry("Log out", "/logout/", posts=True)]
    )

    html = content(Things.as_view()(make_request("/skills/4/")))

    assert "<title>Things · Acme &amp; Sons</title>" in html
    assert 'data-accent="teal"' in html
    assert 'href="/skills/" aria-current="page"' in html
    assert "Maria &lt;Keller&gt;" in html
    assert '<form method="post" action="/logout/">' in html
    assert 'href="#content"' in html
    assert "csrfmiddlewaretoken" in html


def test_an_accent_that_is_not_listed_is_ignored(make_request: MakeRequest) -> None:
    menu.set_brand_source(lambda request: menu.Brand(accent='x" onload="y'))

    assert "data-accent" not in content(Things.as_view()(make_request("/")))


def test_a_page_without_login_leads_to_the_login_and_back(make_request: MakeRequest) -> None:
    response = Things.as_view()(make_request("/things/?page=2", logged_in=False))

    assert response.status_code == 302
    assert response["Location"] == "/login/?next=/things/%3Fpage%3D2"


def test_htmx_without_login_is_sent_to_the_login_page(make_request: MakeRequest) -> None:
    request = make_request("/things/", logged_in=False, HX_Request="true")

    response = Things.as_view()(request)

    assert response["HX-Redirect"] == "/login/"


def test_htmx_gets_the_partial_and_caches_are_told(make_request: MakeRequest) -> None:
    whole = Things.as_view()(make_request("/things/"))
    part = Things.as_view()(make_request("/things/", HX_Request="true"))
    restored = Things.as_view()(
        make_request("/things/", HX_Request="true", HX_History_Restore_Request="true")
    )

    assert content(part) == "<i>part</i>"
    assert "<!doctype html>" in content(whole)
    assert "<!doctype html>" in content(restored)
    assert "HX-Request" in whole["Vary"]
    assert "HX-Request" in part["Vary"]


def test_an_invalid_form_comes_back_as_422_with_its_errors(make_request: MakeRequest) -> None:
    class Send(ConsoleView):
        template_name = "things.html"

        def post(self, request: HttpRequest) -> HttpResponse:
            refused = InvalidInput("Wrong.", fields={"name": "Taken.", "other": "Odd."})
            return self.invalid(NameForm({"name": "a"}), error=refused)

    response = Send.as_view()(make_request("/things/", "post"))

    assert response.status_code == 422
    assert "Taken." in content(response)
    assert "other: Odd." in content(response)


def test_a_refused_post_goes_back_with_a_message(make_request: MakeRequest) -> None:
    request = make_request("/x/", "post", Referer="http://testserver/things/3/")
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]

    response = Refusing.as_view()(request)

    assert response.status_code == 303
    assert response["Location"] == "http://testserver/things/3/"
    [message] = request._messages  # type: ignore[attr-defined]
    assert message.message == "It has already ended."


@pytest.mark.parametrize("referer", ["", "https://evil.example/", "//evil.example/x"])
def test_a_refused_post_never_leads_to_another_host(
    make_request: MakeRequest, referer: str
) -> None:
    response = Refusing.as_view()(make_request("/x/", "post", Referer=referer))

    assert response.status_code == 409
    assert "It has already ended." in content(response)


def test_a_refused_htmx_call_shows_a_toast_and_swaps_nothing(make_request: MakeRequest) -> None:
    response = Refusing.as_view()(make_request("/x/", "post", HX_Request="true"))

    assert response.status_code == 409
    assert response["HX-Reswap"] == "none"
    assert json.loads(response["HX-Trigger"])["toast"]["text"] == "It has already ended."


def test_what_must_not_be_seen_is_the_usual_404(make_request: MakeRequest) -> None:
    hidden = Refusing.as_view(error=NotFound("Execution 7 of Globex."))
    response = hidden(make_request("/x/"))

    assert response.status_code == 404
    assert content(response) == content(views.page_not_found(make_request("/y/")))


@pytest.mark.parametrize(
    ("view", "status"),
    [
        (views.bad_request, 400),
        (views.permission_denied, 403),
        (views.page_not_found, 404),
        (views.server_error, 500),
        (views.csrf_failure, 403),
        (views.suspended, 403),
    ],
)
def test_an_error_page_shows_the_request_id(
    make_request: MakeRequest, view: Any, status: int
) -> None:
    with request_id_scope("request-0815"):
        response = view(make_request("/x/", logged_in=False))

    assert response.status_code == status
    assert "request-0815" in content(response)


def test_a_database_that_cannot_be_reached_is_no_error_and_to_be_tried_again(
    make_request: MakeRequest,
) -> None:
    try:
        raise OperationalError("the server closed the connection")
    except OperationalError:
        response = views.server_error(make_request("/api/v1/x", logged_in=False))

    assert (response.status_code, response["Retry-After"]) == (503, "3")
    assert json.loads(response.content)["code"] == "service_unavailable"
    assert "closed the connection" not in content(response)


def test_an_error_page_never_repeats_the_exception(make_request: MakeRequest) -> None:
    response = views.permission_denied(make_request("/x/"), PermissionDenied("secret reason"))

    assert "secret reason" not in content(response)


def test_what_is_too_large_is_told_the_limits(make_request: MakeRequest, settings: Any) -> None:
    settings.UPLOAD_BYTES, settings.REQUEST_BYTES = 3 * 1024**2, 15 * 1024**2

    response = views.bad_request(make_request("/x/"), RequestDataTooBig("2049 bytes"))

    assert response.status_code == 413
    assert "A file may have 3.0 MiB at most, all files of one form 15 MiB" in content(response)
    assert views.bad_request(make_request("/x/")).status_code == 400


def test_an_error_under_the_api_is_json(make_request: MakeRequest) -> None:
    response = views.page_not_found(make_request("/api/v1/nothing"))

    assert response.status_code == 404
    assert json.loads(content(response))["code"] == "not_found"


def test_an_unknown_host_learns_nothing(make_request: MakeRequest) -> None:
    response = views.unknown_host(make_request("/x/"))

    assert response.status_code == 404
    for word in ("ExecFabric", "static", "tenant", "login", "Request"):
        assert word.lower() not in content(response).lower()


class RowTable(tables.Table):  # type: ignore[misc]  # untyped base
    name = tables.Column(verbose_name="Name")

    class Meta:
        template_name = "web/table.html"
        empty_text = "No executions yet"


def test_an_empty_table_says_so(make_request: MakeRequest) -> None:
    html = RowTable([]).as_html(make_request("/"))

    assert "No executions yet" in html
    assert "<table" not in html


def test_a_table_names_each_cell_for_narrow_screens_and_has_pages(
    make_request: MakeRequest,
) -> None:
    request = make_request("/?q=a&page=2")
    table = RowTable([{"name": f"<b>{number}"} for number in range(30)], order_by="name")
    tables.RequestConfig(request, paginate={"per_page": 10}).configure(table)

    html = table.as_html(request)

    assert 'data-label="Name"' in html
    assert "&lt;b&gt;" in html
    assert "11–20 of 30" in html
    assert 'aria-sort="ascending"' in html
    assert "q=a&amp;page=3" in html
