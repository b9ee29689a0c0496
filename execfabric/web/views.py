"""The base of every console page, and the pages shown when something is wrong."""

from __future__ import annotations

import json
import logging
import sys
from http import HTTPStatus
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.template import loader
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from django_htmx.http import HttpResponseClientRedirect

from execfabric.core.errors import DomainError, ProofNeeded, error_document
from execfabric.core.request_context import current_request_id
from execfabric.web.components import iec_size
from execfabric.web.proof import ask_for_proof, take_proof
from execfabric.web.requests import ConsoleRequest

logger = logging.getLogger(__name__)

API_PREFIX = "/api/"
RETRY_AFTER_S = 3
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

ERROR_TEXTS: dict[int, tuple[str, str]] = {
    400: ("This request cannot be read", "Something in it is missing or has the wrong form."),
    403: ("You may not do this", "Your account does not have the right that this needs."),
    404: ("Page not found", "It does not exist, or it is not visible to your account."),
    405: ("This page works differently", "It cannot be used in the way it was called."),
    409: ("Not possible right now", "Somebody else may have changed it. Reload and try again."),
    410: ("Not there any more", "It was removed."),
    413: ("Too much data", ""),
    429: ("Too many requests", "Wait a moment and try again."),
    500: ("Something went wrong", "The error is recorded. Try again in a moment."),
    503: ("Not available right now", "The service is busy or being updated. Try again soon."),
}


class ConsoleView(View):
    """A page of the console. Needs a login unless ``login_required`` says otherwise.

    A DomainError raised anywhere in a handler becomes a message or an error page here.
    """

    request: ConsoleRequest

    login_required: ClassVar[bool] = True
    menu_place: ClassVar[str] = ""
    """Name of the page of the menu that this one belongs to, where its address does not tell."""
    template_name: ClassVar[str] = ""
    partial_name: ClassVar[str] = ""
    """Name of the partial of ``template_name`` that HTMX gets from the same URL."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if self.login_required and not is_logged_in(request):
            response: HttpResponseBase = to_login(request)
        else:
            try:
                wrong = take_proof(self.request)
                response = wrong or super().dispatch(request, *args, **kwargs)
            except ProofNeeded as needed:
                response = ask_for_proof(self.request, needed)
            except DomainError as error:
                response = handle_domain_error(request, error)
        if self.partial_name:
            patch_vary_headers(response, ["HX-Request"])
        return response

    def get_context(self, **context: Any) -> dict[str, Any]:
        """Return what the template needs besides context; pages extend it."""
        return {"view": self, **context}

    def render(self, *, status: int = 200, template_name: str = "", **context: Any) -> HttpResponse:
        """Return the page, or its partial when HTMX asks for it."""
        name = template_name or self.template_name
        if self.partial_name and wants_partial(self.request):
            name = f"{self.template_name}#{self.partial_name}"
        text = loader.render_to_string(name, self.get_context(**context), self.request)
        return HttpResponse(text, status=status)

    def invalid(
        self, form: forms.BaseForm, *, error: DomainError | None = None, **context: Any
    ) -> HttpResponse:
        """Return the page again with the form's errors, and those of error, as status 422."""
        if error is not None:
            add_domain_error(form, error)
        return self.render(status=HTTPStatus.UNPROCESSABLE_ENTITY, form=form, **context)


def is_logged_in(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return bool(user is not None and user.is_authenticated)


def bears_token(request: HttpRequest) -> bool:
    """Return whether this is for the API, with a token: whose it is, that finds out by itself."""
    return request.path.startswith(API_PREFIX) and bool(request.META.get("HTTP_AUTHORIZATION"))


def is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def wants_partial(request: HttpRequest) -> bool:
    """A history restore by HTMX and a boosted link want the whole page."""
    whole = ("HX-History-Restore-Request", "HX-Boosted")
    return is_htmx(request) and not any(request.headers.get(name) == "true" for name in whole)


def to_login(request: HttpRequest) -> HttpResponse:
    """Return a redirect to the login page that leads back here afterwards."""
    if is_htmx(request):
        return HttpResponseClientRedirect(resolve_url(settings.LOGIN_URL))
    back = request.get_full_path() if request.method in SAFE_METHODS else "/"
    return redirect_to_login(back, resolve_url(settings.LOGIN_URL))


def add_domain_error(form: forms.BaseForm, error: DomainError) -> None:
    """Show a refusal in the form: beside the fields it names, else above them."""
    known = {name: text for name, text in error.fields.items() if name in form.fields}
    for name, text in known.items():
        form.add_error(name, text)
    others = [f"{name}: {text}" for name, text in error.fields.items() if name not in known]
    if others or not known:
        form.add_error(None, others or [error.message])


def handle_domain_error(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Answer a refusal on a page.

    HTMX gets a toast and swaps nothing. A form post goes back to where it came from with a
    message. Anything else, and whatever must not be seen, is an error page.
    """
    if is_htmx(request):
        response = HttpResponse(status=error.status)
        toast = {"toast": {"level": "error", "text": _full_message(error)}}
        response.headers["HX-Trigger"] = json.dumps(toast)
        response.headers["HX-Reswap"] = "none"
        return response
    if error.status == HTTPStatus.NOT_FOUND:
        return error_page(request, HTTPStatus.NOT_FOUND)
    back = _page_it_came_from(request)
    if back and request.method not in SAFE_METHODS:
        messages.error(request, _full_message(error), fail_silently=True)
        redirect = HttpResponseRedirect(back)
        redirect.status_code = HTTPStatus.SEE_OTHER
        return redirect
    return error_page(request, error.status, message=_full_message(error))


def error_page(request: HttpRequest, status: int, *, message: str = "") -> HttpResponse:
    """Return the page for an HTTP error; JSON under the API's prefix.

    Needs no database, session or tenant, so that it also works when those are what failed.
    """
    title, text = ERROR_TEXTS.get(status, ERROR_TEXTS[500 if status >= 500 else 400])
    text = message or (size_limits() if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else text)
    request_id = current_request_id() or getattr(request, "request_id", "")
    if request.path.startswith(API_PREFIX):
        code = HTTPStatus(status).name.lower()
        return JsonResponse(error_document(code, text), status=status)
    page = loader.render_to_string(
        "web/error.html",
        {"status": int(status), "title": title, "text": text, "request_id": request_id},
    )
    return HttpResponse(page, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler400; a body that grew too large while it was read ends here too."""
    if isinstance(exception, RequestDataTooBig):
        return error_page(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return error_page(request, HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler403"""
    return error_page(request, HTTPStatus.FORBIDDEN)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler404"""
    return error_page(request, HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500; a database that cannot be reached is no error of ours, and comes back."""
    if isinstance(sys.exc_info()[1], (InterfaceError, OperationalError)):
        response = error_page(request, HTTPStatus.SERVICE_UNAVAILABLE)
        response["Retry-After"] = str(RETRY_AFTER_S)
        return response
    return error_page(request, HTTPStatus.INTERNAL_SERVER_ERROR)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW"""
    logger.warning("Refused a form without a valid CSRF token: %s", reason)
    text = "The page was open too long, or cookies are blocked. Go back, reload it and try again."
    return error_page(request, HTTPStatus.FORBIDDEN, message=text)


def unknown_host(request: HttpRequest) -> HttpResponse:
    """Return the 404 page of a host that belongs to nobody; it reveals nothing."""
    return HttpResponse(loader.render_to_string("web/unknown_host.html"), status=404)


def suspended(request: HttpRequest) -> HttpResponse:
    """Return the page of a tenant that is suspended or expired: no data, no login, no name."""
    page = loader.render_to_string("web/suspended.html", {"request_id": current_request_id()})
    return HttpResponse(page, status=HTTPStatus.FORBIDDEN)


def size_limits() -> str:
    """Return what a request may send, in words."""
    each, together = iec_size(settings.UPLOAD_BYTES), iec_size(settings.REQUEST_BYTES)
    typed = iec_size(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return (
        f"A file may have {each} at most, all files of one form {together} together, "
        f"and typed text {typed}."
    )


def _full_message(error: DomainError) -> str:
    details = [f"{name}: {text}" for name, text in error.fields.items()]
    return " ".join([error.message, *details])


def _page_it_came_from(request: HttpRequest) -> str:
    """Return the referring URL when it is on this host, else an empty string."""
    referer = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(
        referer, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return referer if referer and safe else ""
