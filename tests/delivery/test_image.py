from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from execfabric.embedded.demo import WEB_THREADS
from tests.docs.pages import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LINES = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]


def copied() -> list[str]:
    """Return what the Dockerfile copies from the project's folder."""
    lines = [line.split()[1:-1] for line in LINES if line.startswith("COPY ")]
    return [name for names in lines if not names[0].startswith("--from") for name in names]


def kept_by_dockerignore(path: str) -> bool:
    """Return whether path reaches the build; the last rule that fits decides."""
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = True
    for rule in filter(None, (line.partition("#")[0].strip() for line in rules)):
        if fnmatch(path, rule.lstrip("!").rstrip("/")):
            kept = rule.startswith("!")
    return kept


@pytest.mark.parametrize("name", copied())
def test_everything_copied_is_there_and_not_ignored(name: str) -> None:
    assert (ROOT / name).exists()
    assert kept_by_dockerignore(name)


@pytest.mark.parametrize("name", [".git", ".venv", "var", "tests", ".env"])
def test_what_has_no_place_in_an_image_stays_out(name: str) -> None:
    assert not kept_by_dockerignore(name)


def test_every_package_of_the_server_is_in_the_image() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}

    assert packages <= set(copied())


def test_the_image_runs_as_an_ordinary_user() -> None:
    [user] = [line.split()[1] for line in LINES if line.startswith("USER ")]

    assert user not in ("root", "0")
    assert LINES.index(f"USER {user}") > max(
        number for number, line in enumerate(LINES) if line.startswith(("COPY", "RUN"))
    )


def test_the_packages_are_installed_by_hash() -> None:
    assert "RUN python bootstrap.py server" in LINES
    assert (ROOT / "bootstrap.py").read_text(encoding="utf-8").count('"--require-hashes"') == 2


def test_the_image_has_a_health_check_that_is_python() -> None:
    [line] = [line for line in LINES if line.startswith("HEALTHCHECK")]
    code = re.findall(r'"-c", "([^"]*)"', line)

    compile(code[0], "healthcheck", "exec")


def test_the_web_server_has_the_threads_that_waits_are_counted_for() -> None:
    [line] = [line for line in LINES if line.startswith("CMD ")]
    command = json.loads(line.removeprefix("CMD "))

    assert command[command.index("--blocking-threads") + 1] == str(WEB_THREADS)


def test_no_file_of_the_delivery_names_a_registry() -> None:
    for name in ("Dockerfile", "docker-compose.yml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        images = re.findall(r"^(?:FROM|\s+image:)\s+(\S+)", text, flags=re.MULTILINE)
        assert images
        for image in images:
            assert "." not in image.partition("/")[0].partition(":")[0], image


def test_pre_commit_runs_only_tools_that_are_installed_here() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))

    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        [tool] = [word for word in hook["entry"].split() if word.startswith(".venv/bin/")]
        assert (Path(sys.executable).parent / Path(tool).name).exists()


def test_ci_is_a_script_that_bash_can_read() -> None:
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o111
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
