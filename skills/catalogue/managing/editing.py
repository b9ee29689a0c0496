"""What may be changed of a version without review: texts, and rules to be stricter."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError

from execfabric.core.audit import storable
from execfabric.core.errors import Conflict, InvalidInput
from executors.inputs import FORMATS, InputValidator
from skills.catalogue.models import Approval, SkillVersion

LONGEST_TITLE = 120
LONGEST_INPUT_TITLE = 200
LONGEST_TEXT = 2000
LONGEST_TAG = 40
LONGEST_EXAMPLE = 200
MOST = 20
"""Tags, example sentences, and examples of one input."""
INPUT_TEXTS = frozenset({"title", "description", "examples"})
STRICTER: dict[str, Any] = {
    "confirm": True,
    "approval": Approval.FOUR_EYES.value,
    "ai_callable": False,
    "manual": False,
}
"""Rules an administrator may change at once, and the only value they may be given here."""
REVIEWED = (
    "This goes to review: submit a new version. Here you change texts, and make rules stricter."
)
OWN_OF_EACH = frozenset({"id", "number", "based_on", "author", "note", "created_at"})
"""What a version does not take over from the one it is based on."""


def edited(base: SkillVersion, changes: Mapping[str, Any]) -> SkillVersion:
    """Return a new version of base's skill on the same script, not stored and without a number.

    changes: title, description, tags, examples, inputs ({name: {title, description, examples}}),
    and confirm, approval, ai_callable, manual, which can only become stricter. What is not named
    stays. Raises InvalidInput with what is wrong by field, Conflict where nothing changes.
    """
    values = {
        field.attname: copy.deepcopy(getattr(base, field.attname))
        for field in SkillVersion._meta.concrete_fields
        if field.name not in OWN_OF_EACH
    }
    before = copy.deepcopy(values)
    wrong: dict[str, str] = {}
    for name, wanted in changes.items():
        try:
            if name == "inputs":
                values["input_schema"] = _with_texts(base.input_schema, wanted, wrong)
            elif name in _TEXTS:
                values[name] = _TEXTS[name](wanted)
            else:
                values[name] = _stricter(name, getattr(base, name, None), wanted)
        except ValueError as error:
            wrong[name] = str(error)
    if wrong:
        raise InvalidInput("The skill cannot be stored like this.", fields=wrong)
    if values == before:
        raise Conflict("Nothing was changed.")
    return SkillVersion(**values, based_on=base)


def _stricter(name: str, is_now: Any, wanted: Any) -> Any:
    """Return wanted, where it is what there is or stricter. Raises ValueError."""
    if name not in STRICTER or (wanted != is_now and wanted != STRICTER[name]):
        raise ValueError(REVIEWED)
    return wanted


def _with_texts(schema: Mapping[str, Any], wanted: Any, wrong: dict[str, str]) -> dict[str, Any]:
    """Return schema with other texts on its inputs; note in wrong what cannot be."""
    changed: dict[str, Any] = copy.deepcopy(dict(schema))
    fields = changed.get("properties", {})
    if not isinstance(wanted, Mapping):
        raise ValueError("Give the texts by name of the input.")
    for name, texts in wanted.items():
        if name not in fields or not isinstance(texts, Mapping):
            wrong[f"inputs.{name}"] = f"It has no such input. {REVIEWED}"
            continue
        for word, value in texts.items():
            try:
                if word not in INPUT_TEXTS:
                    raise ValueError(REVIEWED)
                _set(fields[name], word, _input_text(schema["properties"][name], word, value))
            except ValueError as error:
                wrong[f"inputs.{name}.{word}"] = str(error)
    return changed


def _set(field: dict[str, Any], word: str, value: Any) -> None:
    if value:
        field[word] = value
    else:
        field.pop(word, None)


def _input_text(field: Mapping[str, Any], word: str, value: Any) -> Any:
    if word == "title":
        return _line(value, LONGEST_INPUT_TITLE)
    if word == "description":
        return _text(value, LONGEST_TEXT)
    if not isinstance(value, list) or len(value) > MOST:
        raise ValueError(f"Give a list of at most {MOST} examples.")
    validator = InputValidator(
        {word: part for word, part in field.items() if word != "examples"}, format_checker=FORMATS
    )
    for example in value:
        written = json.dumps(example, ensure_ascii=False)
        if len(written) > LONGEST_TEXT or "\\u0000" in written or storable(written) != written:
            raise ValueError("An example is too long, or has characters that cannot be stored.")
        try:
            validator.validate(example)
        except ValidationError as error:
            raise ValueError(f"{written[:60]} does not fit the input: {error.message}") from None
    return value


def _line(value: Any, longest: int) -> str:
    text = _text(value, longest)
    if len(text.splitlines()) > 1:
        raise ValueError("Use one line.")
    return text


def _title(value: Any) -> str:
    text = _line(value, LONGEST_TITLE)
    if not text:
        raise ValueError("Give a title.")
    return text


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str):
        raise ValueError("Give a text.")
    text = storable(value).strip()
    if len(text) > longest:
        raise ValueError(f"Use {longest} characters at most.")
    return text


def _lines(longest: int) -> Callable[[Any], list[str]]:
    def checked(value: Any) -> list[str]:
        if not isinstance(value, list) or len(value) > MOST:
            raise ValueError(f"Give a list of at most {MOST}.")
        texts = [_line(one, longest) for one in value]
        return list(dict.fromkeys(text for text in texts if text))

    return checked


_TEXTS: dict[str, Callable[[Any], Any]] = {
    "title": _title,
    "description": lambda value: _text(value, LONGEST_TEXT),
    "tags": _lines(LONGEST_TAG),
    "examples": _lines(LONGEST_EXAMPLE),
}
