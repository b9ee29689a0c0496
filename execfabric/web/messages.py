"""One-time messages in a cookie that is valid in one schema only."""

from __future__ import annotations

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage

from execfabric.core.actor import current_schema


class TenantCookieStorage(CookieStorage):
    @property
    def cookie_name(self) -> str:  # type: ignore[override]  # a plain attribute in the base class
        return str(settings.MESSAGE_COOKIE_NAME)

    @property
    def key_salt(self) -> str:  # type: ignore[override]  # a plain attribute in the base class
        return f"execfabric.web.messages:{current_schema()}"
