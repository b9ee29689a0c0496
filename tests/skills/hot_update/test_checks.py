"""What each check passes, warns about and blocks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from executors.manifest import Manifest
from executors.manifest.model import ManifestError
from executors.script.bundle import read_bundle, write_files
from executors.script.environment.installer import OFFLINE_MESSAGE
from skills.hot_update.checks import Level, Subject
from skills.hot_update.checks.entry import check_entry
from skills.hot_update.checks.files import check_files, check_paths
from skills.hot_update.checks.manifest import check_manifest, check_signature
from skills.hot_update.checks.readme import check_readme
from skills.hot_update.checks.requirements import is_of_the_platform
from skills.hot_update.checks.risky_calls import check_risky_calls, demanded_risk
from skills.hot_update.checks.secrets import check_secrets
from skills.hot_update.submitting.manifests import draft_of
from tests.factories.submissions import GREET, MANIFEST

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*/skill.toml"))


@pytest.fixture
def subject(tmp_path):
    """Return a maker: ``subject({"main.py": …})`` of GREET with files put over it."""

    def make(files=None, *, folder=None):
        place = folder or tmp_path / "folder"
        if folder is None:
            for name, content in {**GREET, **(files or {})}.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, bytes):
                    (place / name).write_bytes(content)
                else:
                    (place / name).write_text(content, newline="")
        bundle = read_bundle(place)
        unpacked = tmp_path / "unpacked"
        unpacked.mkdir()
        write_files(bundle, unpacked)
        draft = draft_of(bundle)
        try:
            manifest = None if draft.problem else Manifest.from_tables(draft.tables)
        except ManifestError:
            manifest = None
        return Subject(bundle, unpacked, "", manifest, draft.problem)

    return make


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_pass(subject, example):
    checked = subject(folder=example.parent)

    for each in (check_entry, check_readme, check_manifest, check_signature, check_files,
                 check_secrets):  # fmt: skip
        finding = each(checked)
        assert finding.level in (Level.PASS, Level.WARN), (each.__name__, finding)
    assert check_secrets(checked).level == Level.PASS
    assert check_readme(checked).level == Level.PASS


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"main.py": "def main(:\n"}, "main.py, line 1"),
        ({"main.py": ""}, "is empty"),
        ({"main.py": "import os\n\ndef other(): pass\n"}, "neither a function main() nor code"),
        ({"main.py": b"# -*- coding: nonsense -*-\nprint(1)\n"}, "not valid Python"),
    ],
)
def test_an_entry_that_cannot_run_blocks(subject, files, says):
    finding = check_entry(subject(files))

    assert finding.level == Level.BLOCK
    assert says in finding.details


def test_a_shell_script_with_line_ends_of_windows_blocks(subject):
    files = {"main.sh": "echo hi\r\n", "skill.toml": '[skill]\nname = "a"\nruntime = "shell"\n'}

    assert "LF" in check_entry(subject(files)).details


@pytest.mark.parametrize(
    ("readme", "says"),
    [
        ("# Greet\n\nHello.\n", 'Add a heading "Purpose"'),
        (GREET["README.md"].replace("## Input\n", ""), 'heading "Input"'),
        (GREET["README.md"].replace("A greeting.\n", ""), 'Below "Output" nothing is said'),
        (GREET["README.md"].encode("utf-16"), "looks like UTF-16"),
        ("# Grüße\n".encode("latin-1"), "line 1"),
        ("", 'Add a heading "Purpose"'),
    ],
)
def test_a_readme_that_leaves_something_out_says_what_to_add(subject, readme, says):
    finding = check_readme(subject({"README.md": readme}))

    assert finding.level == Level.BLOCK
    assert says in finding.details


def test_other_ways_to_write_a_readme_are_understood(subject):
    readme = (
        "Greet\n=====\n\n**Purpose:** greets.\n\n- Inputs: a name\n- Returns: a text\n\n"
        "Requirements\n------------\nnone\n\n### Generated files\n`a.csv`\n"
    )

    assert check_readme(subject({"README.md": readme})).level == Level.PASS


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (MANIFEST + "\n[skill.more]\nx = 1\n", "unknown key 'more'"),
        (MANIFEST.replace("risk =", "rsik ="), "unknown key 'rsik' in [skill]"),
        (MANIFEST.replace('risk = "low"', 'risk = "none"'), "risk has a value it cannot have"),
        ("[skill\n", "not valid TOML"),
    ],
)
def test_a_manifest_with_unknown_keys_or_values_blocks_and_names_them(subject, manifest, says):
    finding = check_manifest(subject({"skill.toml": manifest}))

    assert finding.level == Level.BLOCK
    assert says in finding.details


@pytest.mark.parametrize(
    ("main", "level", "says"),
    [
        ("def main(name, times, extra):\n    pass\n", Level.BLOCK, "main() needs 'extra'"),
        ("def main(name):\n    pass\n", Level.BLOCK, "'times', which main() does not take"),
        ("def main(**given):\n    pass\n", Level.PASS, ""),
        ("def main(name: str, times: list):\n    pass\n", Level.WARN, "'times' is integer"),
        ("import os\nprint(os.environ)\n", Level.PASS, "reads its inputs by itself"),
    ],
)
def test_inputs_are_compared_with_the_signature(subject, main, level, says):
    finding = check_signature(subject({"main.py": main}))

    assert finding.level == level, finding
    assert says in finding.details


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import subprocess\nsubprocess.run(['ls'])", "process"),
        ("from os import system as s\ns('ls')", "process"),
        ("import os as o\nrun = o.system", "process"),
        ("import os\ngetattr(os, 'system')('ls')", "process"),
        ("import requests", "network"),
        ("from urllib import request", "network"),
        ("import urllib.request as u\nu.urlopen('x')", "network"),
        ("import shutil\nshutil.rmtree('x')", "deletion"),
        ("from pathlib import Path\nPath('x').unlink()", "deletion"),
        ("eval('1')", "dynamic"),
        ("import pickle\npickle.loads(b'')", "dynamic"),
        ("__import__('os').system('ls')", "dynamic"),
        ("import os\ngetattr(os, 'sys' + 'tem')('ls')", "dynamic"),
        ("from os import *", "dynamic"),
        ("import importlib\nimportlib.import_module('os')", "dynamic"),
        ("__builtins__['ev' + 'al']('1')", "dynamic"),
        ("import ctypes", "native"),
        ("import os\nf = os\nf.system('ls')", "dynamic"),
        ("import os\ndef run(m):\n    m.system('ls')\nrun(os)", "dynamic"),
        ("import os\nvars(os)['system']('ls')", "dynamic"),
        ("import os\nos.__dict__['system']('ls')", "dynamic"),
        ("import sys\nsys.modules['os'].system('ls')", "dynamic"),
        ("globals()['__builtins__']", "dynamic"),
        ("().__class__.__mro__[1].__subclasses__()", "dynamic"),
        ("import timeit\ntimeit.timeit('1')", "dynamic"),
        ("import shutil\nshutil.os.system('ls')", "process"),
        ("from shutil import os as o\no.system('ls')", "process"),
        ("import tempfile\ntempfile._os.system('ls')", "process"),
        ("import asyncio\nasyncio.open_connection('x', 1)", "network"),
        ("from pathlib import Path\nremove = Path('x').unlink\nremove()", "deletion"),
    ],
)
def test_what_code_can_do_is_named(subject, code, kind):
    finding = check_risky_calls(subject({"main.py": f"{code}\n{GREET['main.py']}"}))

    assert kind in finding.facts["kinds"]
    assert "main.py, line" in finding.details


@pytest.mark.parametrize(
    "code",
    [
        "import re\nre.compile('x')",
        "class Model:\n    def eval(self): pass\nModel().eval()",
        "import urllib.parse\nurllib.parse.quote('x')",
        "code = 'x'\ncode.strip()",
        "import os\nos.path.join('a', 'b')",
        "items = [1]\nitems.remove(1)",
        "import os, sys\nprint(os.environ['A'], os.sep, sys.argv, file=sys.stderr)",
        "import os\nname = getattr(os, 'name')",
        "class Box:\n    os = 1\nBox().os",
    ],
)
def test_what_only_looks_alike_is_not(subject, code):
    finding = check_risky_calls(subject({"main.py": f"{code}\n{GREET['main.py']}"}))

    assert finding.facts["kinds"] == []
    assert finding.level == Level.PASS


def test_a_risk_declared_lower_than_the_code_asks_for_is_shown_with_the_difference(subject):
    finding = check_risky_calls(subject({"main.py": f"eval('1')\n{GREET['main.py']}"}))

    assert finding.level == Level.WARN
    assert (finding.facts["declared"], finding.facts["demanded"]) == ("low", "high")
    assert "'high' at least, but 'low' is declared" in finding.details


def test_declared_high_it_passes_and_is_named_all_the_same(subject):
    files = {
        "main.py": f"eval('1')\n{GREET['main.py']}",
        "skill.toml": MANIFEST.replace('risk = "low"', 'risk = "high"'),
    }
    finding = check_risky_calls(subject(files))

    assert finding.level == Level.PASS
    assert "eval" in finding.details


def test_other_code_that_cannot_be_read_asks_for_high_risk(subject):
    finding = check_risky_calls(subject({"other.py": "def broken(:\n"}))

    assert finding.facts["demanded"] == "high"


@pytest.mark.parametrize(("network", "says"), [("false", "is closed"), ("true", "")])
def test_the_network_is_compared_with_what_is_asked_for(subject, network, says):
    files = {
        "main.py": f"import socket\n{GREET['main.py']}",
        "skill.toml": MANIFEST.replace('risk = "low"', f'risk = "medium"\nnetwork = {network}'),
    }
    finding = check_risky_calls(subject(files))

    assert says in finding.details
    assert finding.level == (Level.WARN if says else Level.PASS)


def test_a_report_without_that_check_counts_as_high():
    assert demanded_risk([]) == "high"
    assert demanded_risk([{"check": "risky-calls", "facts": {"demanded": "low"}}]) == "low"


SECRETS = {
    "key.py": "-----BEGIN RSA PRIVATE" + " KEY-----\n",
    "a.py": 'KEY = "AKIA' + 'ABCDEFGHIJKLMNOP"\n',
    "b.py": 'TOKEN = "ghp_' + "a1B2" * 9 + '"\n',
    "c.py": 'password = "hunter2' + '!x"\n',
    "d.sh": "export DB_PASSWORD=s3cr3t" + "-thing\n",
    "e.py": 'URL = "postgres://app:s3cr3t' + '@db.example.org/x"\n',
    ".env": "MODE=1\n",
    "deploy/id_rsa": "x\n",
    "f.json": '{"client_secret": "Zk39-fj20' + 'slq"}\n',
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_blocks_and_is_not_repeated(subject, name):
    finding = check_secrets(subject({name: SECRETS[name]}))

    assert finding.level == Level.BLOCK
    assert name in finding.details
    for word in ("hunter2", "s3cr3t", "AKIA", "ghp_", "Zk39"):
        assert word not in finding.details


@pytest.mark.parametrize(
    "line",
    [
        'password = os.environ["PASSWORD"]',
        'password = "<your password>"',
        'PASSWORD = "changeme"',
        'api_key = "your-api-key"',
        "def login(password: str, token: str) -> None: ...",
        'HINT = "The password must have 10 characters"',
        'SECRET = ""',
        'DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
        'ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"',
        'URL = "https://user:password@example.org/"',
        "password=$1",
    ],
)
def test_what_is_no_secret_passes(subject, line):
    assert check_secrets(subject({"other.py": f"{line}\n"})).level == Level.PASS


def test_a_long_random_text_is_pointed_at(subject):
    literal = "q9Zt3XvB7nLk2RwP5sYd" + "8HgJ4mCf6TaE1uQo"
    finding = check_secrets(subject({"other.py": f'VALUE = "{literal}"\n'}))

    assert finding.level == Level.WARN
    assert literal not in finding.details


def test_programs_and_archives_are_pointed_at(subject):
    finding = check_files(subject({"lib/a.so": b"\x7fELF\0", "more.zip": b"PK"}))

    assert finding.level == Level.WARN
    assert "lib/a.so" in finding.details
    assert "more.zip" in finding.details


@pytest.mark.parametrize(
    ("path", "found"),
    [("/home/ana/data.csv", True), ("C:\\\\Data\\\\x.csv", True), ("/tmp/x", False),
     ("data/x.csv", False), ("/api/v1/items", False)],
)  # fmt: skip
def test_paths_of_one_machine_are_pointed_at(subject, path, found):
    finding = check_paths(subject({"main.py": f'PLACE = "{path}"\n{GREET["main.py"]}'}))

    assert (finding.level == Level.WARN) == found


@pytest.mark.parametrize(
    ("said", "unreachable"),
    [
        (OFFLINE_MESSAGE, True),
        ("× No solution found when resolving dependencies: openpyxl==99 was not found", False),
        ("uv could not be started: No such file or directory.", True),
    ],
)
def test_an_index_that_cannot_be_reached_is_told_from_a_package_that_is_not_there(
    said, unreachable
):
    assert is_of_the_platform(said) == unreachable


def test_a_readme_that_is_too_long_blocks(subject):
    finding = check_readme(subject({"README.md": GREET["README.md"] + "x" * (1 << 20)}))

    assert finding.level == Level.BLOCK
    assert "larger than 1024 KiB" in finding.details


@pytest.mark.parametrize(
    "text",
    ["# " + " " * 500_000 + "x", "a-" * 500_000],
    ids=["blanks", "hyphens"],
)
def test_endless_lines_are_checked_in_no_time(subject, text):
    checked = subject({"README.md": text, "other.py": "\n".join([text[:2000]] * 500)})
    started = time.process_time()

    check_readme(checked)
    check_secrets(checked)

    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "find . " * 140_000,
        "\n".join(["find . " * 285] * 500),
        "/home" * 200_000,
        "\\\\a" * 250_000,
        "| " * 500_000,
    ],
    ids=["find", "find, many lines", "home", "shares", "pipes"],
)
def test_endless_lines_of_shell_are_checked_in_no_time(subject, text):
    checked = subject({"more.sh": text})
    started = time.process_time()

    finding = check_risky_calls(checked)
    check_paths(checked)

    assert time.process_time() - started < 5
    if "\n" not in text:
        assert finding.facts["demanded"] == "high"
        assert "more.sh, line 1: longer than 2000 characters" in finding.details


def test_what_hides_behind_a_long_line_is_not_taken_for_harmless(subject):
    finding = check_risky_calls(subject({"more.sh": f"true {'x' * 3000}; curl http://x\n"}))

    assert (finding.level, finding.facts["demanded"]) == (Level.WARN, "high")


@pytest.mark.parametrize("line", ["find . -name x -delete", "cd /x && find a b -delete"])
def test_find_that_deletes_is_named(subject, line):
    assert check_risky_calls(subject({"more.sh": line})).facts["kinds"] == ["deletion"]


def test_code_that_is_too_large_for_a_tree_asks_for_high_risk(subject):
    finding = check_risky_calls(subject({"data.py": "x = [" + "1," * (1 << 19) + "]\n"}))

    assert finding.facts["demanded"] == "high"
    assert "data.py: it is larger than 1024 KiB" in finding.details


def test_a_secret_with_a_long_name_is_found(subject):
    name = "of_a_service_with_a_name_longer_than_forty_characters_password"
    finding = check_secrets(subject({"other.py": f'{name} = "hunter2-x9"\n'}))

    assert finding.level == Level.BLOCK


@pytest.mark.parametrize(
    "content",
    [b"curl http://x\n#\0", b"curl http://x\n#\xff", b"curl http://x\n" + b"#" * (1 << 20)],
    ids=["nul", "latin-1", "too large"],
)
def test_a_shell_script_that_cannot_be_read_asks_for_high_risk(subject, content):
    finding = check_risky_calls(subject({"lib/more.sh": content}))

    assert (finding.level, finding.facts["demanded"]) == (Level.WARN, "high")
    assert "lib/more.sh: not readable, looked at by nobody" in finding.details


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.sh", "# no python here\ncurl http://x\n"),
        ("a.sh", "#!/usr/bin/python\ncurl http://x\n"),
        ("tool", "#!/bin/sh\n# no python here\ncurl http://x\n"),
        ("tool", "#!/usr/local/bin/python3\nimport socket\n"),
    ],
)
def test_the_word_python_hides_no_script(subject, name, content):
    assert "network" in check_risky_calls(subject({name: content})).facts["kinds"]
