"""The base of every API view: bearer token only, errors and pages in one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from execfabric.core.actor import Actor
from execfabric.core.errors import error_document

from .pagination import ListPagination


class HasRole(BasePermission):
    """Logged in, with at least one role here. What the roles allow, the services decide."""

    def has_permission(self, request: Request, view: Any) -> bool:
        actor: Actor | None = getattr(request, "actor", None)
        return bool(request.user and request.user.is_authenticated and actor and actor.roles)


class ApiView(APIView):
    """A view for those who are logged in."""

    permission_classes = [HasRole]

    def find(self, rows: QuerySet[Any], **lookup: Any) -> Any:
        """Return the one visible row, or answer 404; a malformed id is no row."""
        try:
            return get_object_or_404(rows, **lookup)
        except (ValidationError, ValueError):
            raise Http404 from None

    def body(self, serializer: type[BaseSerializer[Any]]) -> dict[str, Any]:
        """Return the fields of the body, or answer 400 with what is wrong with them."""
        given = serializer(data=self.request.data)
        given.is_valid(raise_exception=True)
        values: dict[str, Any] = given.validated_data
        return values

    def page(
        self,
        rows: QuerySet[Any],
        serializer: Callable[..., BaseSerializer[Any]],
        *,
        ordering: str | Iterable[str] = "-pk",
    ) -> Response:
        """Answer one page of rows as {"results": [...], "next": url|null}."""
        paginator = ListPagination()
        paginator.ordering = (ordering,) if isinstance(ordering, str) else tuple(ordering)
        chosen: list[Model] = paginator.paginate_queryset(rows, self.request, view=self) or []
        return paginator.get_paginated_response(
            serializer(chosen, many=True, context={"request": self.request}).data
        )


class PublicApiView(APIView):
    """A view that needs no login."""

    permission_classes = []
    authentication_classes = []


@csrf_exempt  # Else the form of a body that nobody wants would be read for its token.
def not_found(request: HttpRequest, path: str = "") -> JsonResponse:
    """Answer for an API address that does not exist on this host."""
    return JsonResponse(error_document("not_found", "There is nothing here."), status=404)
