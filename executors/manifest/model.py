"""The model of ``skill.toml`` and its JSON Schemas."""

# ruff: noqa: N815 - the fields are words of JSON Schema.

from __future__ import annotations

import keyword
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, Self

import pydantic
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints, model_validator

from executors.contract import ExecutorError
from executors.inputs import FORMATS, InputValidator, PatternNotUsable, compile_pattern
from executors.manifest.toml import to_toml
from executors.network.policy import parse_rules

MANIFEST_NAME = "skill.toml"
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SLUG_LENGTH = 60
DEFAULT_RETRIES = 2
MOST_RETRIES = 10
REFUSED_WORDS = ("$ref", "$dynamicRef", "patternProperties")
"""Words of JSON Schema that lead elsewhere, or match names in unbounded time."""
INPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

NAMED_SCHEMAS = ("properties", "$defs", "definitions", "dependentSchemas")
"""Words of JSON Schema that hold schemas by names of the author's choice."""

Type = Literal["string", "integer", "number", "boolean", "array", "object", "null"]
Format = Literal[
    "date", "date-time", "time", "email", "uri", "uuid", "file", "multiline", "markdown"
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\r\n]*$")
]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]


class ManifestError(ExecutorError):
    """The manifest is not usable; the message names file, table and key and says what to do."""


class SkillWords(BaseModel):
    """What the ``[skill]`` table says of a skill of any kind."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    title: Line = ""
    description: Text = ""
    risk: Literal["low", "medium", "high"] = "medium"
    confirm: bool = False
    approval: Literal["none", "four_eyes"] = "none"
    visibility: Literal["tenant", "granted"] = "tenant"
    """Everybody of the tenant who may run skills, or only those it was granted to."""
    ai_callable: bool = False
    manual: bool = True
    network: bool = False
    network_hosts: Annotated[list[str], pydantic.Field(max_length=50)] = []
    """The only hosts it may reach, see ``executors/network/policy.py``."""
    timeout_s: Annotated[int, pydantic.Field(ge=1, le=86_400)] = 300
    memory_mb: Annotated[int, pydantic.Field(ge=32, le=65_536)] = 512
    queue: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)] = (
        "default"
    )
    """Label of the workers that may run it."""
    concurrency: Annotated[int, pydantic.Field(ge=1, le=10_000)] | None = None
    """How many runs of the skill may go on at once in a tenant; None: any number."""
    idempotent: bool = False
    """Whether a run that was lost may be started again by the platform itself."""
    max_retries: Annotated[int, pydantic.Field(ge=0, le=MOST_RETRIES)] | None = None
    """How often in a row it does so; None: twice where the skill is idempotent, else never."""
    tags: list[Tag] = []
    examples: list[Line] = []
    """Sentences a user might say."""

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if not SLUG.fullmatch(self.name) or len(self.name) > SLUG_LENGTH:
            raise ValueError(
                f"name {self.name!r} must be made of a-z, 0-9 and single hyphens between them, "
                f"at most {SLUG_LENGTH} characters"
            )
        return self

    @model_validator(mode="after")
    def _check_hosts(self) -> Self:
        if self.network_hosts and not self.network:
            raise ValueError("network_hosts needs network = true")
        try:
            parse_rules(self.network_hosts)
        except ValueError as error:
            raise ValueError(f"network_hosts: {error}") from None
        return self

    @model_validator(mode="after")
    def _check_retries(self) -> Self:
        if self.max_retries and not self.idempotent:
            raise ValueError(
                "max_retries needs idempotent = true: only a run that may happen twice is retried"
            )
        return self

    @property
    def retries(self) -> int:
        """How often in a row a lost run is started again by the platform itself."""
        if not self.idempotent:
            return 0
        return DEFAULT_RETRIES if self.max_retries is None else self.max_retries


class SkillTable(SkillWords):
    """The ``[skill]`` table of a script."""

    runtime: Literal["python", "shell"]
    entry: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")] = ""
    requires_python: Line = ""
    """Versions of Python it runs on, such as ">=3.11"; empty for the platform's own."""

    @model_validator(mode="after")
    def _check_python_and_entry(self) -> Self:
        try:
            SpecifierSet(self.requires_python)
        except InvalidSpecifier:
            raise ValueError(
                f"requires_python {self.requires_python!r} must look like '>=3.11' or "
                "'>=3.10,<3.13'"
            ) from None
        if self.requires_python and self.runtime != "python":
            raise ValueError('requires_python is for scripts with runtime = "python"')
        if not self.entry:
            self.entry = "main.py" if self.runtime == "python" else "main.sh"
        return self


class ResourceSkillTable(SkillWords):
    """The ``[skill]`` table of a skill of another kind."""

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,19}$")]
    """Executor kind in the registry (executors.registry)."""


class Field(BaseModel):
    """One ``[inputs.x]`` or ``[outputs.x]`` table, in JSON Schema words."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Type | list[Type] = "string"
    title: Line | None = None
    description: Text | None = None
    optional: bool = False
    """Our own word: the input may be left out although it has no default."""
    default: Any = None
    enum: list[str | int | float | bool] | None = None
    format: Format | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusiveMinimum: int | float | None = None
    exclusiveMaximum: int | float | None = None
    multipleOf: int | float | None = None
    minLength: int | None = None
    maxLength: int | None = None
    pattern: str | None = None
    items: dict[str, Any] | None = None
    minItems: int | None = None
    maxItems: int | None = None
    uniqueItems: bool | None = None
    properties: dict[str, Any] | None = None
    required: list[str] | None = None
    additionalProperties: bool | dict[str, Any] | None = None
    examples: list[Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_values(cls, data: Any) -> Any:
        """TOML has dates of its own; JSON Schema writes them as text."""
        return _without_toml_dates(data)

    @model_validator(mode="after")
    def _check_as_schema(self) -> Self:
        if self.format is not None and "string" not in self.types:
            raise ValueError(f'format = "{self.format}" needs type = "string"')
        schema = self.schema_words()
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            where = ".".join(map(str, error.absolute_path)) or "the table"
            raise ValueError(f"{where} is not valid JSON Schema: {error.message}") from error
        for part in _parts_of(schema):
            if refused := [word for word in REFUSED_WORDS if word in part]:
                raise ValueError(f"{refused[0]} cannot be used here")
            try:
                compile_pattern(part.get("pattern", ""))
            except PatternNotUsable as error:
                raise ValueError(str(error)) from error
        self._check_default(schema)
        return self

    def _check_default(self, schema: dict[str, Any]) -> None:
        if self.default is None:
            return
        try:
            InputValidator(schema, format_checker=FORMATS).validate(self.default)
        except ValidationError as error:
            raise ValueError(f"default does not fit the input itself: {error.message}") from error

    @property
    def types(self) -> list[str]:
        return [self.type] if isinstance(self.type, str) else list(self.type)

    @property
    def is_required(self) -> bool:
        return self.default is None and not self.optional and "null" not in self.types

    def schema_words(self) -> dict[str, Any]:
        """Return the field as a JSON Schema; an optional one also takes null."""
        words = self.model_dump(exclude_none=True, exclude={"optional"})
        types = self.types
        if self.optional and "null" not in types:
            types = [*types, "null"]
        words["type"] = types[0] if len(types) == 1 else types
        if "null" in types and "enum" in words and None not in words["enum"]:
            words["enum"] = [*words["enum"], None]
        return words


class SkillManifest(BaseModel):
    """What every ``skill.toml`` holds; see its two forms below."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Field] = {}
    outputs: dict[str, Field] = {}

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name in self.inputs:
            if not INPUT_NAME.fullmatch(name) or keyword.iskeyword(name):
                raise ValueError(
                    f"inputs.{name}: an input's name must work as a Python argument: letters, "
                    "digits and underscores, not a Python keyword"
                )
        return self

    @classmethod
    def from_toml(cls, text: str, *, file: str = MANIFEST_NAME) -> Self:
        """Parse text. file is only named in messages. Raises ManifestError."""
        try:
            data = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ManifestError(f"{file} is not valid TOML: {error}. Correct that line.") from error
        return cls.from_tables(data, file=file)

    @classmethod
    def from_tables(cls, data: Mapping[str, Any], *, file: str = MANIFEST_NAME) -> Self:
        """Build from parsed tables. Raises ManifestError."""
        if "skill" not in data:
            raise ManifestError(f"{file} has no [skill] table. Add one with at least a name.")
        try:
            return cls.model_validate(data)
        except pydantic.ValidationError as error:
            raise ManifestError(f"{file}: {_say(error)}") from error

    def input_schema(self) -> dict[str, Any]:
        """Return a JSON Schema (2020-12) object: nothing but the declared inputs is allowed."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {name: field.schema_words() for name, field in self.inputs.items()},
            "required": [name for name, field in self.inputs.items() if field.is_required],
            "additionalProperties": False,
        }

    def output_schema(self) -> dict[str, Any]:
        """Return a JSON Schema (2020-12); it allows anything when no output is declared."""
        schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        if self.outputs:
            schema["type"] = "object"
            schema["properties"] = {n: field.schema_words() for n, field in self.outputs.items()}
        return schema


class Manifest(SkillManifest):
    """A whole ``skill.toml`` of a script."""

    skill: SkillTable

    def to_toml(self) -> str:
        """Return the manifest as ``skill.toml`` text that reads back as an equal manifest."""
        tables = self.model_dump(exclude_none=True)
        tables = {"skill": tables.pop("skill"), **tables}
        if not tables["skill"]["requires_python"]:
            del tables["skill"]["requires_python"]
        for field in [*tables["inputs"].values(), *tables["outputs"].values()]:
            if not field["optional"]:
                del field["optional"]
        return to_toml(tables)


class ResourceManifest(SkillManifest):
    """A whole ``skill.toml`` of a skill of another kind."""

    skill: ResourceSkillTable
    resource: dict[str, JsonValue] = {}
    """The resource spec in the words of the kind; its executor checks it."""

    @model_validator(mode="before")
    @classmethod
    def _plain_values(cls, data: Any) -> Any:
        return _without_toml_dates(data)


def _parts_of(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield schema and every schema inside it; not what only looks like one, such as a default."""
    if not isinstance(schema, dict):
        return
    yield schema
    for word, value in schema.items():
        if word in NAMED_SCHEMAS and isinstance(value, dict):
            inner = list(value.values())
        elif word in ("enum", "const", "default", "examples", "required", "dependentRequired"):
            inner = []
        else:
            inner = value if isinstance(value, list) else [value]
        for each in inner:
            yield from _parts_of(each)


def _without_toml_dates(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_toml_dates(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_without_toml_dates(value) for value in data]
    if isinstance(data, datetime | date | time):
        return data.isoformat()
    if isinstance(data, float) and not math.isfinite(data):
        raise ValueError("nan and inf cannot be used, since JSON has no such numbers")
    return data


def _say(error: pydantic.ValidationError) -> str:
    """Put the first few problems into words: table, key, what is wrong, what to do."""
    sentences = []
    for problem in error.errors(include_url=False)[:5]:
        place, message = problem["loc"], problem["msg"].removeprefix("Value error, ")
        table = _table(place[:-1] if problem["type"] != "value_error" else place)
        key = str(place[-1]) if place else ""
        match problem["type"]:
            case "extra_forbidden":
                what = f"unknown key {key!r} in {table}. Remove it or correct its spelling."
            case "missing":
                what = f"{table} lacks the key {key!r}. Add it."
            case "value_error":
                what = f"{table}: {message}." if place else f"{message}."
            case "literal_error":
                what = f"{table} {key} has a value it cannot have. {message}."
            case _:
                what = f"{table} {key} has a wrong value. {message}."
        if what not in sentences:
            sentences.append(what)
    return " ".join(sentences)


def _table(place: tuple[int | str, ...]) -> str:
    # Deeper parts of a place are names of union members, which mean nothing to an author.
    return "[" + ".".join(map(str, place[:2])) + "]" if place else "the file"
