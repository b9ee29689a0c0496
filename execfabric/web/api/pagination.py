from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Field
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response


class ListPagination(CursorPagination):
    """Cursor pages of 50 by default, 200 at most (``?limit=``)."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering: Any = "-pk"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        name = self.get_ordering(request, queryset, view)[0].lstrip("-")
        meta = queryset.model._meta
        self._first: Field[Any, Any] = meta.pk if name == "pk" else meta.get_field(name)
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return the cursor of the request. Raises NotFound for one we did not make."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                self._first.to_python(cursor.position)
            except ValidationError:
                raise NotFound from None
            if "\0" in str(cursor.position):
                raise NotFound
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {"type": "string", "nullable": True, "format": "uri"},
            },
        }
