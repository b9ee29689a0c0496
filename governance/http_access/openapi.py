"""Takes single operations out of an OpenAPI 3 document, as a first description to look over.

Nothing is fetched: references within the document are followed, others are left out.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from execfabric.core.errors import InvalidInput
from executors.http.resource import OWN_HEADERS

METHODS = ("get", "head", "post", "put", "patch", "delete")
LONGEST_DOCUMENT = 2_000_000
DEEPEST = 8
MOST_OPERATIONS = 500
KEPT_WORDS = frozenset(
    {"type", "title", "description", "enum", "minimum", "maximum", "exclusiveMinimum",
     "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "items", "minItems", "maxItems",
     "uniqueItems", "properties", "required"}
)  # fmt: skip
KEPT_FORMATS = frozenset({"date", "date-time", "time", "email", "uri", "uuid"})
NAMED = ("query", "header")
NOT_PARAMETERS = OWN_HEADERS | {"accept"}
"""Headers that OpenAPI says are none, and others that belong to the transport or a credential."""


@dataclass(frozen=True, slots=True)
class Operation:
    key: str
    """``GET /customers/{id}``, as it stands in the document."""
    title: str


class _Loader(yaml.SafeLoader):
    """Takes no aliases: a few lines of them would unfold into a document without end."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not taken")
        return super().compose_node(parent, index)


def parse_document(text: str) -> dict[str, Any]:
    """Return an OpenAPI 3 document, JSON or YAML. Raises InvalidInput."""
    if len(text) > LONGEST_DOCUMENT:
        raise _wrong(f"The document is larger than {LONGEST_DOCUMENT} characters.")
    try:
        is_json = text.lstrip().startswith("{")
        data = json.loads(text) if is_json else yaml.load(text, _Loader)  # noqa: S506 - it is safe
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise _wrong(f"The document is neither JSON nor YAML: {str(error)[:200]}") from None
    if not isinstance(data, dict) or not str(data.get("openapi", "")).startswith("3."):
        raise _wrong("This is no OpenAPI 3 document: it lacks openapi: 3.x.")
    return data


def operations_of(document: Mapping[str, Any]) -> list[Operation]:
    """Return the operations that can be taken, in the order of the document."""
    found = []
    for path, item in _mapping(document.get("paths")).items():
        for method in METHODS:
            if isinstance(operation := _mapping(item).get(method), dict):
                title = operation.get("summary") or operation.get("operationId") or ""
                found.append(Operation(f"{method.upper()} {path}", str(title)[:120]))
    return found[:MOST_OPERATIONS]


def description_of(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the words of a Description for one operation: name, title, description, spec, inputs,
    output_fields. Raises InvalidInput."""
    if key not in {one.key for one in operations_of(document)}:
        raise InvalidInput("There is no such operation.", fields={"operation": "Choose another."})
    method, _, path = key.partition(" ")
    item = _mapping(_mapping(document["paths"])[path])
    operation = item[method.lower()]
    names: dict[str, str] = {}
    inputs: dict[str, Any] = {}
    spec: dict[str, Any] = {"base_url": _server(document), "method": method, "path": path}
    parameters = [*_list(item.get("parameters")), *_list(operation.get("parameters"))]
    for parameter in (_followed(document, one) for one in parameters):
        name, place = str(parameter.get("name", "")), parameter.get("in")
        if place not in ("path", *NAMED) or not name:
            continue
        if place == "header" and name.lower() in NOT_PARAMETERS:
            continue
        field = _field(document, _mapping(parameter.get("schema")))
        field.setdefault("description", str(parameter.get("description", ""))[:2000])
        own = names[name] = _input_name(name, inputs)
        inputs[own] = _optional(field, is_required=parameter.get("required") is True)
        if place in NAMED:
            kind = "query" if place == "query" else "headers"
            spec.setdefault(kind, {})[name] = f"{{{own}}}"
    spec["path"] = re.sub(
        r"\{([^{}]+)\}", lambda match: f"{{{names.get(match[1], match[1])}}}", path
    )
    body = _json_schema(document, _followed(document, operation.get("requestBody")))
    if body is not None and method not in ("GET", "HEAD"):
        required = _list(body.get("required"))
        content = {}
        for name, schema in _mapping(body.get("properties")).items():
            own = _input_name(str(name), inputs)
            field = _field(document, _mapping(schema))
            inputs[own] = _optional(field, is_required=name in required)
            content[str(name)] = f"{{{own}}}"
        spec["body"] = {"kind": "json", "content": content}
    outputs, fields = _outputs(document, operation)
    if outputs:
        spec["outputs"] = outputs
    title = str(operation.get("summary") or operation.get("operationId") or key)
    return {
        "name": re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-"),
        "title": title[:120],
        "description": str(operation.get("description") or "")[:2000],
        "spec": spec,
        "inputs": inputs,
        "output_fields": fields,
    }


def _server(document: Mapping[str, Any]) -> str:
    servers = _list(document.get("servers"))
    server = _mapping(servers[0]) if servers else {}
    url = str(server.get("url", ""))
    for name, variable in _mapping(server.get("variables")).items():
        url = url.replace(f"{{{name}}}", str(_mapping(variable).get("default", "")))
    return url.rstrip("/") if urlsplit(url).scheme in ("http", "https") else ""


def _outputs(
    document: Mapping[str, Any], operation: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return JMESPath and words of the top values of the first successful JSON answer."""
    for status, response in _mapping(operation.get("responses")).items():
        if not str(status).startswith("2"):
            continue
        schema = _json_schema(document, _followed(document, response))
        found = _mapping((schema or {}).get("properties"))
        fields: dict[str, Any] = {}
        outputs = {}
        for name, each in found.items():
            own = _input_name(str(name), fields)
            fields[own] = _optional(_field(document, _mapping(each)), is_required=False)
            outputs[own] = json.dumps(str(name))
        return outputs, fields
    return {}, {}


def _json_schema(document: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any] | None:
    for kind, media in _mapping(part.get("content")).items():
        if str(kind).partition(";")[0].strip().endswith("json"):
            schema = _followed(document, _mapping(media).get("schema"))
            return schema if _mapping(schema.get("properties")) else None
    return None


def _field(
    document: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0
) -> dict[str, Any]:
    """Return a schema in the words that ``[inputs.x]`` knows; what it does not know is left out."""
    schema = _followed(document, schema)
    if depth > DEEPEST:
        return {}
    field = {word: part for word, part in schema.items() if word in KEPT_WORDS}
    if not isinstance(field.get("required"), list):
        field.pop("required", None)  # In OpenAPI 2 it was true or false.
    if depth == 0:
        field.setdefault("type", "string")
    if schema.get("format") in KEPT_FORMATS and field.get("type") == "string":
        field["format"] = schema["format"]
    if isinstance(field.get("items"), dict):
        field["items"] = _field(document, field["items"], depth + 1)
    if isinstance(field.get("properties"), dict):
        field["properties"] = {
            str(name): _field(document, _mapping(part), depth + 1)
            for name, part in field["properties"].items()
        }
    for word in ("title", "description"):
        if word in field:
            longest = 200 if word == "title" else 2000
            field[word] = " ".join(str(field[word]).split())[:longest]
    return field


def _optional(field: dict[str, Any], *, is_required: bool) -> dict[str, Any]:
    return field if is_required else {**field, "optional": True}


def _input_name(name: str, taken: Mapping[str, Any]) -> str:
    own = re.sub(r"\W", "_", name, flags=re.ASCII)[:60]
    if not own or own[0].isdigit() or keyword.iskeyword(own):
        own = f"p_{own}"
    while own in taken:
        own += "_"
    return own


def _followed(document: Mapping[str, Any], part: Any) -> dict[str, Any]:
    """Return what a part refers to within the document, however many steps away."""
    for _ in range(DEEPEST):
        if not isinstance(part, dict):
            return {}
        reference = part.get("$ref")
        if reference is None:
            return part
        part = _at(document, str(reference))
    return {}


def _at(document: Mapping[str, Any], reference: str) -> Any:
    if not reference.startswith("#/"):
        return {}
    found: Any = document
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _mapping(part: Any) -> Mapping[str, Any]:
    return part if isinstance(part, dict) else {}


def _list(part: Any) -> list[Any]:
    return part if isinstance(part, list) else []


def _wrong(text: str) -> InvalidInput:
    return InvalidInput(text, fields={"document": text})
