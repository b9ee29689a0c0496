"""Resolving what a script asks for: locked, hashed, and with errors an author can use."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from pathlib import Path

import pytest

from executors.script.environment import EnvironmentBuildError, lock
from executors.script.environment import installer as installer_module
from executors.script.environment.installer import Installer
from executors.script.environment.lock import Lock, Package, lock_script, parse_lock
from executors.script.environment.store import Environments
from executors.script.interpreters import Interpreter
from tests.executors.conftest import MakeFolder, processes_with
from tests.factories.wheels import make_wheel, serve_index


@pytest.fixture
def resolve(make_folder: MakeFolder, python: Interpreter, installer: Installer):
    def resolve(*lines: str, using: Installer = installer) -> Lock:
        folder = make_folder(main__py="", requirements__txt="\n".join(lines))
        made = lock_script(folder, interpreters=[python], installer=using)
        assert made is not None
        return made

    return resolve


def test_a_lock_names_every_package_with_its_version_and_hashes(
    resolve, wheels: Path, python: Interpreter
) -> None:
    top = make_wheel(wheels, "top", "2.1", requires=["base>=1"])
    base = make_wheel(wheels, "base", "1.5")

    made = resolve("Top")

    digests = {wheel: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in (top, base)}
    assert made.text == (
        f"base==1.5 --hash=sha256:{digests[base]}\ntop==2.1 --hash=sha256:{digests[top]}\n"
    )
    assert made.packages == [Package("base", "1.5"), Package("top", "2.1")]
    assert (made.python, made.tag) == (python.version_text, python.tag)


def test_another_wheel_than_the_locked_one_is_not_installed(
    resolve, wheels: Path, python: Interpreter, open_folder: Path
) -> None:
    make_wheel(wheels, "greeting", code="WORD = 'hello'")
    made = resolve("greeting")
    make_wheel(wheels, "greeting", code="WORD = 'evil'")
    environments = Environments(open_folder / "swapped")

    with pytest.raises(EnvironmentBuildError, match=r"[Hh]ash"):
        environments.build(made, python)

    assert environments.find(made.digest) is None
    assert not list(open_folder.glob("swapped/*partial*"))


def test_a_hash_the_author_gave_must_be_one_of_the_locked(resolve, wheels: Path) -> None:
    wheel = make_wheel(wheels, "greeting")
    right = hashlib.sha256(wheel.read_bytes()).hexdigest()

    assert right in resolve(f"greeting --hash=sha256:{right}").text


def test_a_wrong_hash_of_the_author_is_refused(resolve, wheels: Path) -> None:
    make_wheel(wheels, "greeting")

    with pytest.raises(EnvironmentBuildError, match="hashes given for greeting"):
        resolve("greeting --hash=sha256:" + "0" * 64)


def test_packages_that_need_each_other_end(resolve, wheels: Path) -> None:
    make_wheel(wheels, "hen", requires=["egg"])
    make_wheel(wheels, "egg", requires=["hen"])

    assert [package.name for package in resolve("hen").packages] == ["egg", "hen"]


def test_what_cannot_be_had_is_said_in_uvs_words_without_the_machines(
    resolve, wheels: Path, installer: Installer
) -> None:
    make_wheel(wheels, "base", "1.0")
    make_wheel(wheels, "top", "1.0", requires=["base>=2"])

    with pytest.raises(EnvironmentBuildError) as caught:
        resolve("top")

    message = str(caught.value)
    assert "only base<2 is available" in message or "base>=2" in message
    assert "/" not in message.replace("and/or", "")


def test_a_package_that_would_have_to_be_built_is_refused(resolve, wheels: Path) -> None:
    (wheels / "source-1.0.tar.gz").write_bytes(b"")

    with pytest.raises(EnvironmentBuildError, match="source"):
        resolve("source")


def test_packages_come_from_the_configured_index_and_its_login_is_seen_nowhere(
    resolve, tmp_path: Path, python: Interpreter, open_folder: Path
) -> None:
    wheels = tmp_path / "served"
    wheels.mkdir()
    make_wheel(wheels, "greeting")
    seen: list[str] = []

    def look(path: str) -> None:
        seen.append(path)
        assert processes_with("hunter22") == []

    with serve_index(wheels, login="me:hunter22", seen=look) as url:
        environments = Environments(open_folder / "from-index", index_url=url)
        made = resolve("greeting", using=environments.installer)
        interpreter = environments.build(made, python)

    assert any(path.endswith(".whl") for path in seen)
    assert list(interpreter.parents[1].rglob("greeting.py"))
    texts = [p for p in interpreter.parents[1].rglob("*") if p.is_file() and not p.is_symlink()]
    assert not [path for path in texts if b"hunter22" in path.read_bytes()]
    assert "hunter22" not in made.text + repr(seen)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://me:hunter22@127.0.0.1:9/simple", "cannot be reached"),
        ("wrong login", "refused the platform's login"),
    ],
)
def test_an_index_that_does_not_answer_is_said_clearly(
    resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, why: str
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with serve_index(tmp_path, login="me:right") as url:
        if address == "wrong login":
            address = url.replace("right", "hunter22")
        with pytest.raises(EnvironmentBuildError, match=why) as caught:
            resolve("greeting", using=Installer(tmp_path / "cache", address))

    assert not re.search(r"hunter22|127\.0\.0\.1|://", str(caught.value))


def test_a_resolver_that_takes_too_long_is_ended(
    resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "RESOLVE_TIMEOUT_S", 1)
    wheels = tmp_path / "slow"
    wheels.mkdir()
    started, over = time.monotonic(), threading.Event()

    with serve_index(wheels, seen=lambda _path: over.wait(120)) as url:
        with pytest.raises(EnvironmentBuildError, match="took more than 1 s"):
            resolve("greeting", using=Installer(tmp_path / "cache", url))
        over.set()
    assert time.monotonic() - started < 60, "it was not waited for"


def test_a_resolver_that_says_too_much_is_ended(
    resolve, wheels: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noisy = tmp_path / "noisy"
    noisy.write_text("#!/bin/sh\nyes\n")
    noisy.chmod(0o755)
    monkeypatch.setattr(installer_module, "_find_uv", lambda: str(noisy))

    with pytest.raises(EnvironmentBuildError, match="too many packages"):
        resolve("greeting")


@pytest.mark.parametrize(
    "line",
    ["x @ file:///x --hash=sha256:aa", "x==1", "-e . --hash=sha256:aa", "--index-url http://x",
     "x==1 --hash=md5:aa", "x==1 ; y --hash=sha256:aa"],
)  # fmt: skip
def test_a_lock_holds_nothing_but_packages_with_hashes(line: str) -> None:
    with pytest.raises(EnvironmentBuildError):
        parse_lock(line)
