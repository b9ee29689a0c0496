from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import TemporaryFileUploadHandler


class BoundedUploadHandler(TemporaryFileUploadHandler):
    """Streams uploads to disk and stops one that grows beyond ``settings.UPLOAD_BYTES``."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.received += len(raw_data)
        if self.received > settings.UPLOAD_BYTES:
            raise RequestDataTooBig(f"A file may have {settings.UPLOAD_BYTES} bytes at most.")
        super().receive_data_chunk(raw_data, start)
