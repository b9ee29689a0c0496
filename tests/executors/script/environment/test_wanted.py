"""What a script may ask for, and how hostile lists of packages end."""

from __future__ import annotations

import time

import pytest

from executors.script.environment import EnvironmentBuildError
from executors.script.environment.wanted import MOST_REQUIREMENTS, read_wanted
from tests.executors.conftest import MakeFolder

BLOCK = '# /// script\n# requires-python = ">=3.12"\n# dependencies = ["rich"]\n# ///\n'
SLOW_S = 5


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("-e .", "an option"),
        ("-r other.txt", "an option"),
        ("-c constraints.txt", "an option"),
        ("--index-url https://index.example/simple", "an option"),
        ("rich --find-links /tmp", "an option"),
        ("rich --config-settings=x", "an option"),
        ("https://example.org/x-1.0-py3-none-any.whl", "an address or a path"),
        ("x @ https://example.org/x.whl", "an address or a path"),
        ("x @ file:///etc/passwd", "an address or a path"),
        ("git+https://example.org/x.git", "an address or a path"),
        ("./x.whl", "an address or a path"),
        ("../x", "an address or a path"),
        ("x.whl", "an address or a path"),
        ("rich==${SECRET}", "a character"),
        ('rich; platform_version == "${SECRET}"', "a character"),
        ("rich >> 1", "not a package"),
    ],
)
def test_a_line_that_is_no_named_package_is_refused_with_its_place(
    make_folder: MakeFolder, line: str, what: str
) -> None:
    folder = make_folder(main__py="", requirements__txt=f"# first\n\n{line}\n")

    with pytest.raises(EnvironmentBuildError) as caught:
        read_wanted(folder)

    message = str(caught.value)
    assert message.startswith("requirements.txt, line 3, asks for ")
    assert what in message
    assert message.endswith("Only named packages can be installed, such as 'openpyxl==3.1.5'.")


def test_two_lists_of_packages_are_refused_and_it_says_which_to_remove(
    make_folder: MakeFolder,
) -> None:
    folder = make_folder(main__py=BLOCK, requirements__txt="rich\n")

    with pytest.raises(EnvironmentBuildError, match=r"Remove requirements\.txt, or remove the key"):
        read_wanted(folder)


def test_a_block_may_choose_the_python_of_a_requirements_file(make_folder: MakeFolder) -> None:
    block = '# /// script\n# requires-python = ">=3.12"\n# ///\n'
    wanted = read_wanted(make_folder(main__py=block, requirements__txt="rich\n"))

    assert (wanted.requirements, wanted.requires_python) == (("rich",), ">=3.12")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (BLOCK + "\n" + BLOCK, "more than one script block"),
        ("# /// script\n# dependencies = [\n# ///\n", "not TOML"),
        ('# /// script\n# dependencies = "rich"\n# ///\n', "a list"),
        ("# /// script\n# requires-python = 3.11\n# ///\n", "a text"),
        ('# /// script\n# [tool.uv]\n# index-url = "http://x"\n# ///\n', r"\[tool\.uv\]"),
    ],
)
def test_a_block_that_cannot_be_used_is_refused(
    make_folder: MakeFolder, source: str, why: str
) -> None:
    with pytest.raises(EnvironmentBuildError, match=why):
        read_wanted(make_folder(main__py=source))


def test_a_block_of_another_kind_or_without_an_end_is_none(make_folder: MakeFolder) -> None:
    source = '# /// other\n# dependencies = ["x"]\n# ///\n\n# /// script\n# dependencies = ["y"]\n'

    assert read_wanted(make_folder(main__py=source)).requirements == ()


@pytest.mark.parametrize(
    "files",
    [
        {"requirements__txt": "rich\n" * 10_000},
        {"requirements__txt": "\n".join(f"package-{n}" for n in range(10_000))},
        {"requirements__txt": "x" * 200_000},
        {"requirements__txt": "x;" + "(" * 400},
        {"requirements__txt": "x\\\n" * 100_000},
        {"requirements__txt": "x" * 300_000},
        {"main__py": "# /// script\n" * 70_000},
        {"main__py": "# /// script\n" + "# x\n" * 200_000 + "# ///\n"},
        {"main__py": "# /// script\n# dependencies = " + "[" * 300_000 + "\n# ///\n"},
        {"main__py": f"# /// script\n# dependencies = {['x'] * 10_000}\n# ///\n"},
    ],
    ids=range(10),
)
def test_hostile_lists_end_soon(make_folder: MakeFolder, files: dict[str, str]) -> None:
    folder = make_folder(**{"main__py": "", **files})
    started = time.process_time()

    message = ""
    try:
        assert len(read_wanted(folder).requirements) <= MOST_REQUIREMENTS
    except EnvironmentBuildError as error:
        message = str(error)

    assert len(message) < 500
    assert time.process_time() - started < SLOW_S
