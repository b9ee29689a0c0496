"""Reads a skill's JSON Schema as far as a command line needs: types, choices, labels."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

# From the narrowest reading of a word to the widest, where a schema allows several types.
_TYPE_ORDER = ("null", "integer", "number", "boolean", "array", "object", "string")
_LABELS = {
    "integer": "whole number",
    "number": "number",
    "boolean": "yes/no",
    "string": "text",
    "array": "list",
    "object": "JSON object",
}
_DEPTH = 8
"""Schemas may refer to themselves; nobody types a value nested deeper than this."""


def properties_of(schema: Schema) -> dict[str, Schema]:
    """Return each input's own schema, references followed, in the order of the skill's author."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {str(name): resolved(prop, schema) for name, prop in properties.items()}


def resolved(prop: Any, schema: Schema) -> Schema:
    """Follow ``$ref`` inside the schema, and take the only real branch of an optional value."""
    for _ in range(_DEPTH):
        if not isinstance(prop, dict):
            return {}
        if isinstance(prop.get("$ref"), str):
            target = _target_of(prop["$ref"], schema)
            prop = {**target, **{key: value for key, value in prop.items() if key != "$ref"}}
            continue
        branches = _branches(prop)
        real = [b for b in branches if not isinstance(b, dict) or b.get("type") != "null"]
        if len(real) != 1 or not isinstance(real[0], dict):
            break
        outer = {key: value for key, value in prop.items() if key not in ("anyOf", "oneOf")}
        optional = {"x-optional": True} if len(branches) > 1 else {}
        prop = {**real[0], **outer, **optional}
    return prop if isinstance(prop, dict) and "$ref" not in prop else {}


def types_of(prop: Schema, schema: Schema, depth: int = _DEPTH) -> list[str]:
    """Return the JSON types a resolved property allows, narrowest first; empty if it says none."""
    said = prop.get("type")
    found = {said} if isinstance(said, str) else set(said) if isinstance(said, list) else set()
    if depth:
        for branch in _branches(prop):
            found.update(types_of(resolved(branch, schema), schema, depth - 1))
    if prop.get("x-optional"):
        found.add("null")
    return [kind for kind in _TYPE_ORDER if kind in found]


def choices_of(prop: Schema) -> list[Any]:
    """Return the only values allowed; empty when any will do."""
    if "const" in prop:
        return [prop["const"]]
    choices = prop.get("enum")
    return choices if isinstance(choices, list) else []


def is_file(prop: Schema) -> bool:
    return prop.get("format") in ("file", "binary")


def is_secret(prop: Schema) -> bool:
    return prop.get("format") == "password" or prop.get("writeOnly") is True


def type_label(prop: Schema, schema: Schema, depth: int = _DEPTH) -> str:
    """Return the type of a resolved property in words: ``whole number``, ``list of file``."""
    if is_file(prop):
        return "file"
    if choices := choices_of(prop):
        return "one of " + ", ".join(map(str, choices))
    labels = []
    for kind in types_of(prop, schema):
        items = resolved(prop.get("items"), schema) if kind == "array" and depth else {}
        if items:
            labels.append(f"list of {type_label(items, schema, depth - 1)}")
        elif kind == "string" and prop.get("format"):
            labels.append(str(prop["format"]))
        elif kind != "null":
            labels.append(_LABELS[kind])
    return " or ".join(labels) or "any"


def _branches(prop: Schema) -> list[Any]:
    branches = prop.get("anyOf") or prop.get("oneOf")
    return branches if isinstance(branches, list) else []


def _target_of(reference: str, schema: Schema) -> Schema:
    """Only references into the schema itself are followed; nothing is ever fetched."""
    found: Any = schema if reference.startswith("#") else {}
    for step in reference.lstrip("#").split("/")[1:]:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
