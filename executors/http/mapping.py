"""From an answer to the declared output."""

from __future__ import annotations

import codecs
import hashlib
import json
import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jsonschema.exceptions import ValidationError
from pydantic import JsonValue

from executors.contract import OutputFile
from executors.http.calling import Answer
from executors.http.errors import BadAnswer, TooLarge
from executors.http.resource import HttpResource
from executors.inputs import FORMATS, InputValidator
from executors.masking import FileMasker, Masker
from executors.results import parse_json, unstorable

CHARSETS = re.compile(
    r"ascii|utf-(8|8-sig|16|32)(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[rut]|mac-\w+|shift_jis\w*"
    r"|euc_\w+|gb\w+|big5\w*|iso2022_\w+|johab|tis-620"
)
TEXTS = ("text/", "application/xml", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class Output:
    value: JsonValue = None
    files: list[OutputFile] = field(default_factory=list)


def map_answer(
    resource: HttpResource, answer: Answer, masker: Masker, folder: Path, *, most_bytes: int
) -> Output:
    """Return the output an answer comes to, masked. Raises BadAnswer, TooLarge.

    JSON and text become a value; anything else a file, unless outputs are to be taken from it.
    most_bytes: of the value, as JSON.
    """
    content = read_content(answer)
    if isinstance(content, bytes):
        if resource.outputs or resource.output_schema:
            raise BadAnswer(
                f"The API answered with {answer.content_type or 'no type'}, not with JSON."
            )
        return Output(files=[_file(answer, masker, folder)]) if content else Output()
    value: Any = content
    if resource.outputs:
        try:
            value = {
                name: jmespath.search(expression, content)
                for name, expression in resource.outputs.items()
            }
        except (
            JMESPathError,
            RecursionError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            first = str(error).partition("\n")[0]
            raise BadAnswer(f"The output cannot be taken from the answer: {first}.") from error
    if problem := unstorable(value):
        raise BadAnswer(problem)
    _check(resource, value)
    value = masker.mask_json(value)
    if _size(value) > most_bytes:
        raise TooLarge(f"The output is larger than {most_bytes} bytes.")
    return Output(value)


def read_content(answer: Answer) -> Any:
    """Return JSON parsed, text as it is, anything else as bytes. Raises BadAnswer."""
    kind = answer.content_type
    if not answer.body:
        return None
    if kind.endswith(("/json", "+json")):
        try:
            return parse_json(answer.body)
        except (ValueError, RecursionError) as error:
            raise BadAnswer(f"The answer is not the JSON it says it is: {error}.") from error
    if kind.startswith(TEXTS) or kind.endswith("+xml"):
        return answer.body.decode(_charset(answer), "replace").replace("\0", "\ufffd")
    return answer.body


def _charset(answer: Answer) -> str:
    """Return the charset an answer says it has, if texts of the web have it; else UTF-8.

    Python knows more codecs: of some the time grows with the square of the text.
    """
    try:
        name = codecs.lookup(answer.charset).name
    except LookupError:
        return "utf-8"
    return name if CHARSETS.fullmatch(name) else "utf-8"


def _check(resource: HttpResource, value: Any) -> None:
    if not resource.output_schema:
        return
    validator = InputValidator(resource.output_schema, format_checker=FORMATS)
    try:
        validator.validate(value)
    except (ValidationError, RecursionError) as error:
        if isinstance(error, RecursionError):
            raise BadAnswer("The answer is nested too deeply.") from error
        where = ".".join(map(str, error.absolute_path)) or "the output"
        raise BadAnswer(
            f"The answer does not fit the declared output: {where}: {error.message[:300]}"
        ) from error


def _file(answer: Answer, masker: Masker, folder: Path) -> OutputFile:
    ending = mimetypes.guess_extension(answer.content_type) or ".bin"
    path = folder / f"answer{ending}"
    data = FileMasker(masker).feed(answer.body, final=True)
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return OutputFile(name=path.name, path=path, size_bytes=len(data), sha256=digest)


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
