"""Asks a whole schema at once what is wrong, with the same rules and words as the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cli.schema import Schema

_LEADS_ELSEWHERE = ('"$ref"', '"$dynamicRef"', '"$id"')
"""No skill's schema has these; following one could make us fetch what somebody else named."""


def violations(schema: Schema, values: Mapping[str, Any]) -> dict[str, str]:
    """Return one message for each input that does not fit.

    Empty, too, where the schema cannot be checked here: then the server alone decides.
    """
    # Loading these takes as long as a call to the server, and most runs need none of it.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    from executors.inputs import InvalidInputs, PatternNotUsable, check_inputs

    try:
        text = json.dumps(schema)
        if any(word in text for word in _LEADS_ELSEWHERE):
            return {}
        Draft202012Validator.check_schema(schema)
        check_inputs(schema, dict(values))
    except InvalidInputs as error:
        return error.fields
    except (SchemaError, RecursionError, PatternNotUsable):
        pass  # the schema itself is not usable
    return {}
