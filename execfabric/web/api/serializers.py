from __future__ import annotations

import functools
from typing import Any

from rest_framework import serializers


class KeptFieldsSerializer(serializers.Serializer):
    """One whose fields are made once instead of copied for each request.

    For a short form that is sent all the time. The fields are everybody's, and belong to a
    serializer without data: what needs to know its request has no place among them.
    """

    @property
    def fields(self) -> Any:
        return _fields_of(type(self))


@functools.cache
def _fields_of(kind: type[KeptFieldsSerializer]) -> Any:
    fields = super(KeptFieldsSerializer, kind()).fields
    for field in fields.values():
        for validator in field.validators:
            # Composed at its first use, which must not be that of two threads at once.
            str(getattr(validator, "message", ""))
    return fields
