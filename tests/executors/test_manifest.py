"""``skill.toml``: read, generated, written, and refused with a sentence that helps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from executors.manifest import (
    Field,
    Manifest,
    ManifestError,
    generate_manifest,
    load_manifest,
    signature,
)
from tests.executors.conftest import MakeFolder

EXAMPLES = Path(__file__).parents[2] / "examples"

MAIN = '''
import enum
import datetime as dt
from datetime import date
import time
from pathlib import Path
from typing import Annotated, Any, List, Literal, Optional, Union

class Mode(enum.StrEnum):
    FAST = enum.auto()
    SLOW = "careful"

DEFAULT_TOP = 10
Kind = Literal["net", "gross"]

raise RuntimeError("reading a signature must not run the code")

def main(
    sales: Path,
    title: str,
    since: date = date(2026, 1, 2),
    until: Optional[dt.datetime] = None,
    top_n: int = DEFAULT_TOP,
    ratio: "float" = 0.5,
    mode: Mode = Mode.FAST,
    kind: Kind = "net",
    tags: List[str] = ["a"],
    extra: dict[str, Any] = {},
    limits: dict[str, int] | None = None,
    amount: Annotated[Union[int, float], "EUR"] = 1,
    more: list[Path] = (),
    computed: int = len("abc"),
    untyped=True,
    *, strict: bool = False,
    **rest,
):
    """Report.

    Args:
        sales: The export of the month.
    """
'''


def test_inputs_come_from_the_signature_without_running_it(make_folder: MakeFolder) -> None:
    schema = generate_manifest(make_folder("Sales_Report 2", main__py=MAIN)).input_schema()

    Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["sales", "title"]
    assert schema["additionalProperties"] is False
    words = schema["properties"]
    plain = {name: {k: v for k, v in rule.items() if k != "title"} for name, rule in words.items()}
    assert plain == {
        "sales": {"type": "string", "format": "file", "description": "The export of the month."},
        "title": {"type": "string"},
        "since": {"type": "string", "format": "date", "default": "2026-01-02"},
        "until": {"type": ["string", "null"], "format": "date-time"},
        "top_n": {"type": "integer", "default": 10},
        "ratio": {"type": "number", "default": 0.5},
        "mode": {"type": "string", "enum": ["fast", "careful"], "default": "fast"},
        "kind": {"type": "string", "enum": ["net", "gross"], "default": "net"},
        "tags": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
        "extra": {"type": "object", "default": {}},
        "limits": {"type": ["object", "null"], "additionalProperties": {"type": "integer"}},
        "amount": {"type": ["integer", "number"], "default": 1},
        "more": {"type": "array", "items": {"type": "string", "format": "file"}, "default": []},
        "computed": {"type": ["integer", "null"]},
        "untyped": {"type": "boolean", "default": True},
        "strict": {"type": "boolean", "default": False},
    }
    assert words["top_n"]["title"] == "Top n"


def test_name_title_and_description_come_from_folder_and_readme(tmp_path: Path) -> None:
    folder = tmp_path / "Sales_Report 2"
    folder.mkdir()
    (folder / "main.sh").write_text("true\n")
    (folder / "README.md").write_text(
        "[![badge](x)](y)\n\n# The **sales** report\n\n```\ncode\n```\nSums up\n"
        "a [month](https://x).\n\nMore.\n"
    )

    manifest = load_manifest(folder)

    assert manifest.skill.name == "sales-report-2"
    assert manifest.skill.title == "The sales report"
    assert manifest.skill.description == "Sums up a month."
    assert (manifest.skill.runtime, manifest.skill.entry) == ("shell", "main.sh")
    assert manifest.inputs == {}
    assert manifest.output_schema() == {"$schema": manifest.input_schema()["$schema"]}


def test_skill_toml_wins_and_gaps_are_filled(make_folder: MakeFolder) -> None:
    folder = make_folder(
        main__py="def main(n: int): ...\n",
        skill__toml="""
        [skill]
        name = "count"
        risk = "high"
        """,
    )

    manifest = load_manifest(folder)

    assert (manifest.skill.risk, manifest.skill.title) == ("high", "A script")
    assert list(manifest.inputs) == ["n"]


def test_declared_inputs_replace_those_of_the_signature(make_folder: MakeFolder) -> None:
    folder = make_folder(
        main__py="def main(n: int, day=None): ...\n",
        skill__toml="""
        [skill]
        name = "count"
        [inputs.n]
        type = "integer"
        minimum = 1
        [inputs.day]
        format = "date"
        default = 2026-01-31
        """,
    )

    assert load_manifest(folder).input_schema()["properties"] == {
        "n": {"type": "integer", "minimum": 1},
        "day": {"type": "string", "format": "date", "default": "2026-01-31"},
    }


def test_an_optional_or_nullable_input_is_not_required() -> None:
    manifest = Manifest.from_toml(
        '[skill]\nname = "x"\nruntime = "shell"\n[inputs.a]\noptional = true\n'
        '[inputs.b]\ntype = ["integer", "null"]\n[inputs.c]\nenum = ["x"]\noptional = true\n'
    )

    schema = manifest.input_schema()
    assert schema["required"] == []
    assert schema["properties"]["a"] == {"type": ["string", "null"]}
    assert schema["properties"]["c"]["enum"] == ["x", None]


SKILL = '[skill]\nname = "x"\nruntime = "shell"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[skill\n", "skill.toml is not valid TOML"),
        ("", "no [skill] table"),
        ('skill = "x"', "skill.toml"),
        ("[skill]\nruntime = 'shell'\n", "[skill] lacks the key 'name'"),
        (SKILL.replace('"x"', '"Sales Report"'), "'Sales Report' must be made of a-z"),
        (SKILL.replace('"x"', f'"{"x" * 61}"'), "at most 60 characters"),
        (SKILL.replace('"x"', '"a--b"'), "single hyphens"),
        (SKILL + "speed = 1\n", "unknown key 'speed' in [skill]"),
        (SKILL + "timeout_s = 'long'\n", "[skill] timeout_s has a wrong value"),
        (SKILL + "requires_python = '3.x'\n", "requires_python '3.x' must look like '>=3.11'"),
        (SKILL + "confirm = 'yes'\n", "[skill] confirm"),
        (SKILL + "risk = 'huge'\n", "[skill] risk"),
        (SKILL + "entry = '../x'\n", "[skill] entry"),
        (SKILL + "[inputs.x]\ntype = 'text'\n", "[inputs.x]"),
        (SKILL + "[inputs.x]\ncolour = 1\n", "unknown key 'colour' in [inputs.x]"),
        (SKILL + "[inputs.x]\ntype = 'integer'\ndefault = 'a'\n", "default does not fit"),
        (SKILL + "[inputs.x]\ntype = 'integer'\nformat = 'file'\n", "needs type"),
        (SKILL + "[inputs.x]\npattern = '('\n", "'(' is not a 'regex'"),
        (SKILL + "[inputs.x]\npattern = '^(?!a)'\n", "look-ahead"),
        (SKILL + "[inputs.x]\npattern = '(a)\\1'\n", "backreferences"),
        (
            SKILL + "[inputs.x]\ntype = 'array'\nitems = { pattern = '(?=a)b' }\n",
            "look-ahead",
        ),
        (
            SKILL + "[inputs.x]\ntype = 'object'\nproperties.a.patternProperties = {}\n",
            "patternProperties cannot be used",
        ),
        (
            SKILL + "[inputs.x]\ntype = 'array'\nitems = { '$ref' = 'https://example.com' }\n",
            "$ref cannot be used",
        ),
        (SKILL + "[inputs.x]\nminLength = -1\n", "[inputs.x]"),
        (SKILL + "[inputs.x]\ntype = 'number'\ndefault = nan\n", "nan and inf"),
        (SKILL + "[inputs.class]\n", "inputs.class"),
        (SKILL + "[inputs.'a b']\n", "inputs.a b"),
        (SKILL + "[input.x]\n", "unknown key 'input' in the file"),
    ],
)
def test_a_broken_manifest_is_refused_with_file_table_and_key(text: str, says: str) -> None:
    with pytest.raises(ManifestError) as caught:
        Manifest.from_toml(text)

    assert "skill.toml" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"main.py": b"def main(x: Frame): ...\n"}, "main(x: Frame)"),
        ({"main.py": b"def main(x, /): ...\n"}, "positional-only"),
        ({"main.py": b"def main(:\n"}, "not valid Python (line 1)"),
        ({"main.py": b"x = '\xff'\n"}, "main.py is not UTF-8 text (line 1)"),
        ({"main.py": b"x\0"}, "main.py"),
        ({"main.py": b"(" * 10_000}, "main.py"),
        ({"main.sh": b"", "skill.toml": b"# \xe4\n"}, "skill.toml is not UTF-8"),
        ({"main.sh": b"", "skill.toml": b'[skill]\nname="x"\nentry="gone.sh"\n'}, "gone.sh"),
        ({"README.md": b"# x"}, "neither main.py nor main.sh"),
    ],
)
def test_a_folder_that_cannot_be_read_says_why(
    tmp_path: Path, files: dict[str, bytes], says: str
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    with pytest.raises(ManifestError) as caught:
        load_manifest(tmp_path)

    assert says in str(caught.value)


@pytest.mark.parametrize("folder", sorted(p.parent.name for p in EXAMPLES.glob("*/skill.toml")))
def test_the_examples_have_sound_manifests(folder: str) -> None:
    manifest = load_manifest(EXAMPLES / folder)

    assert manifest.skill.name == folder
    Draft202012Validator.check_schema(manifest.input_schema())
    assert Manifest.from_toml(manifest.to_toml()) == manifest


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30)
lines = texts.map(lambda text: " ".join(text.split()))
integers = st.integers(-(2**63), 2**63 - 1)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
fields = st.one_of(
    st.builds(Field, type=st.just("string"), title=lines, description=texts, default=texts),
    st.builds(Field, type=st.just("integer"), default=integers),
    st.builds(
        Field, type=st.just(["number", "null"]), minimum=st.none() | st.floats(-1e300, 1e300)
    ),
    st.builds(Field, type=st.just("array"), default=st.lists(json_values, max_size=3)),
    st.builds(
        Field, type=st.just("object"), default=st.dictionaries(texts, json_values, max_size=3)
    ),
    st.builds(
        Field, enum=st.lists(lines, min_size=1, max_size=4, unique=True), optional=st.booleans()
    ),
)


@settings(max_examples=60)
@given(
    title=lines,
    examples=st.lists(lines, max_size=3),
    description=texts,
    timeout=st.integers(1, 86_400),
    inputs=st.dictionaries(
        st.from_regex(r"[a-z]_[a-z0-9]{1,5}", fullmatch=True), fields, max_size=4
    ),
    outputs=st.dictionaries(lines.filter(bool), fields, max_size=2),
)
def test_a_written_manifest_reads_back_the_same(
    title: str,
    examples: list[str],
    description: str,
    timeout: int,
    inputs: dict[str, Field],
    outputs: dict[str, Field],
) -> None:
    skill = {
        "name": "round-trip",
        "runtime": "python",
        "title": title,
        "description": description,
        "examples": examples,
        "timeout_s": timeout,
    }
    tables = {
        "skill": skill,
        "inputs": {name: field.model_dump(exclude_none=True) for name, field in inputs.items()},
        "outputs": {name: field.model_dump(exclude_none=True) for name, field in outputs.items()},
    }
    manifest = Manifest.from_tables(tables)

    assert Manifest.from_toml(manifest.to_toml()) == manifest


def test_what_only_looks_like_a_rule_is_left_alone() -> None:
    text = (
        SKILL
        + "[inputs.x]\ntype = 'object'\n"
        + "default = { pattern = '(?=a)', '$ref' = 'x' }\n"
        + "properties.pattern.type = 'string'\nproperties.patternProperties.type = 'string'\n"
    )

    assert Manifest.from_toml(text).inputs["x"].default == {"pattern": "(?=a)", "$ref": "x"}


def test_a_default_that_would_keep_a_backtracking_engine_busy_is_checked_at_once() -> None:
    started = time.process_time()

    with pytest.raises(ManifestError, match="default does not fit"):
        Manifest.from_toml(SKILL + f"[inputs.x]\npattern = '^(a+)+$'\ndefault = '{'a' * 40}!'\n")

    assert time.process_time() - started < 1


def test_the_python_it_runs_on_is_written_only_where_one_is_asked_for() -> None:
    some = Manifest.from_toml('[skill]\nname="x"\nruntime="python"\nrequires_python=">=3.12"\n')

    assert Manifest.from_toml(some.to_toml()).skill.requires_python == ">=3.12"
    assert "requires_python" not in Manifest.from_toml(SKILL).to_toml()
    with pytest.raises(ManifestError, match="runtime = "):
        Manifest.from_toml('[skill]\nname="x"\nruntime="shell"\nrequires_python=">=3.12"\n')


@pytest.mark.parametrize(
    "line",
    ["[" * 500_000, "# " + " " * 500_000 + "x", "# " + "#" * 500_000 + "x"],
    ids=["brackets", "blanks", "hashes"],
)
def test_a_readme_of_endless_lines_is_read_in_no_time(make_folder: MakeFolder, line: str) -> None:
    folder = make_folder(main__sh="")
    (folder / "README.md").write_text(f"{line}\n\nText\n")
    started = time.process_time()

    generate_manifest(folder)

    assert time.process_time() - started < 2


def test_hints_nested_too_deeply_are_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nested(_self: object) -> None:
        raise RecursionError

    monkeypatch.setattr(signature._Module, "inputs", nested)

    with pytest.raises(ManifestError, match=r"main\.py is nested too deeply"):
        signature.read_inputs("def main(): ...")
