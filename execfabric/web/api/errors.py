"""One shape for every refusal of the API: {"code", "message", "fields"}."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import set_rollback

from execfabric.core.errors import DomainError, ProofNeeded, error_document
from execfabric.web.views import size_limits


class ErrorOut(serializers.Serializer):
    code = serializers.CharField(help_text="Stable and machine-readable.")
    message = serializers.CharField(help_text="For a person; says what to do.")
    fields = serializers.DictField(  # type: ignore[assignment]  # the contract's word for it
        child=serializers.CharField(), help_text="Name of an input: what is wrong with it."
    )


def error_responses(*statuses: int) -> dict[int, type[ErrorOut]]:
    """Return the entries of ``responses`` for extend_schema."""
    return dict.fromkeys(statuses, ErrorOut)


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what a view raised into an answer; None lets Django answer 500."""
    if isinstance(error, ProofNeeded):
        set_rollback()
        return _answer(error.status, error.code, error.message, {})
    if isinstance(error, DomainError):
        set_rollback()
        return _answer(error.status, error.code, error.message, error.fields)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, RequestDataTooBig):
        return _answer(413, "too_large", f"The body is too large. {size_limits()}", {})
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return _answer(*_from_framework(error), headers=headers)


def _from_framework(error: exceptions.APIException) -> tuple[int, str, str, dict[str, str]]:
    status = error.status_code
    if isinstance(error, exceptions.ValidationError):
        return status, "invalid_input", "Some inputs are not right.", _flat(error.detail)
    if isinstance(error, (exceptions.NotAuthenticated, exceptions.AuthenticationFailed)):
        return 401, "not_authenticated", "Log in first: send a valid bearer token.", {}
    if isinstance(error, exceptions.NotFound):
        return status, "not_found", "There is nothing here.", {}
    code = str(getattr(error, "default_code", "refused"))
    return status, code, str(error.detail), {}


def _flat(detail: Any, name: str = "") -> dict[str, str]:
    """Return {"a.b": "text"} for the nested errors of a serializer."""
    if isinstance(detail, dict):
        flat: dict[str, str] = {}
        for key, value in detail.items():
            own = name if key == "non_field_errors" else f"{name}.{key}".lstrip(".")
            flat.update(_flat(value, own))
        return flat
    if isinstance(detail, list) and any(isinstance(item, (dict, list)) for item in detail):
        return {
            k: v for i, item in enumerate(detail) for k, v in _flat(item, f"{name}.{i}").items()
        }
    texts = detail if isinstance(detail, list) else [detail]
    return {name: " ".join(str(text) for text in texts)}


def _answer(
    status: int,
    code: str,
    message: str,
    fields: dict[str, str],
    headers: dict[str, str] | None = None,
) -> Response:
    return Response(error_document(code, message, fields), status=status, headers=headers)
