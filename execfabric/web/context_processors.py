"""What every template of the console may use."""

from __future__ import annotations

from typing import Any

from django.utils.functional import SimpleLazyObject

from execfabric.core.request_context import current_request_id
from execfabric.web.menu import ACCENTS, account_menu_of, brand_of, menu_of
from execfabric.web.requests import ConsoleRequest


def shell(request: ConsoleRequest) -> dict[str, Any]:
    """Return brand, menus, actor and request id; nothing is read until a template asks for it."""
    return {
        "brand": SimpleLazyObject(lambda: brand_of(request)),
        "accents": ACCENTS,
        "menu": SimpleLazyObject(lambda: menu_of(request)),
        "account_menu": SimpleLazyObject(lambda: account_menu_of(request)),
        "actor": getattr(request, "actor", None),
        "request_id": current_request_id(),
    }
