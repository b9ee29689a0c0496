"""bootstrap.py does its work once, and again when what it made no longer fits."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import bootstrap
from tests.embedded.process_table import ROOT

PYPROJECT = '[project]\nname = "x"\n[project.scripts]\nhello = "greeting:hello"\n'


class Clone(bootstrap.Environment):
    """An environment whose packages are only noted down, not downloaded."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.installed: list[str] = []

    def _install_uv(self) -> None:
        self.installed.append("uv")

    def _install(self, group: str) -> None:
        self.installed.append(group)


class BrokenClone(Clone):
    """A clone whose network fails in the middle."""

    def _install(self, group: str) -> None:
        raise bootstrap.BootstrapError(f"no network for {group}")


@pytest.fixture
def root(folder: Path) -> Path:
    path = folder / "a clone"
    path.mkdir()
    (path / "pyproject.toml").write_text(PYPROJECT)
    (path / "greeting.py").write_text("def hello():\n    print('hello')\n")
    for name in ("bootstrap", "server", "dev"):
        (path / f"requirements-{name}.lock").write_text(f"{name}==1\n")
    return path


def made(root: Path, group: str = "server") -> Clone:
    clone = Clone(root)
    clone.make(group)
    return clone


def test_the_second_run_has_nothing_to_do(root: Path) -> None:
    assert not Clone(root).is_current("server")
    made(root)

    assert Clone(root).is_current("server")
    assert not Clone(root).is_current("dev")


def test_dev_includes_server(root: Path) -> None:
    made(root, "dev")

    assert Clone(root).is_current("server")


def test_server_after_dev_keeps_dev(root: Path) -> None:
    made(root, "dev")
    made(root, "server")

    assert Clone(root).is_current("dev")


def test_a_new_lock_is_installed_into_the_same_environment(root: Path) -> None:
    made(root, "dev")
    (root / ".venv" / "kept").touch()
    (root / "requirements-server.lock").write_text("server==2\n")
    assert not Clone(root).is_current("server")

    assert made(root, "server").installed == ["uv", "server"]
    assert (root / ".venv" / "kept").exists()


def test_an_interrupted_build_starts_over(root: Path) -> None:
    with pytest.raises(bootstrap.BootstrapError):
        BrokenClone(root).make("server")
    (root / ".venv" / "half").touch()
    assert not Clone(root).is_current("server")

    made(root)
    assert Clone(root).is_current("server")
    assert not (root / ".venv" / "half").exists()


def test_a_moved_clone_is_built_again(root: Path) -> None:
    made(root)
    moved = root.with_name("moved")
    root.rename(moved)
    assert not Clone(moved).is_current("server")

    made(moved)
    done = subprocess.run([moved / ".venv" / "bin" / "hello"], capture_output=True, text=True)
    assert done.stdout == "hello\n"


def test_an_environment_without_its_interpreter_is_built_again(root: Path) -> None:
    clone = made(root)
    clone.python.unlink()
    clone.python.symlink_to("/no/such/python3.11")
    assert not Clone(root).is_current("server")

    made(root)
    assert Clone(root).is_current("server")


@pytest.mark.parametrize("stamp", ["", "[]", "{", '{"built": true}'])
def test_a_damaged_stamp_is_not_believed(root: Path, stamp: str) -> None:
    made(root).stamp.write_text(stamp)
    assert not Clone(root).is_current("server")

    made(root)
    assert Clone(root).is_current("server")


def test_an_environment_made_by_hand_is_taken_over_if_it_works(root: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    (root / ".venv" / "mine").touch()

    made(root)
    assert (root / ".venv" / "mine").exists()


def test_a_linked_environment_is_replaced_and_its_target_kept(root: Path, folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "file").touch()
    (root / ".venv").symlink_to(folder / "elsewhere")

    made(root)
    assert not (root / ".venv").is_symlink()
    assert (folder / "elsewhere" / "file").exists()


def test_the_clone_is_importable_and_its_commands_run(root: Path) -> None:
    clone = made(root)
    script = clone.path / "bin" / "hello"
    done = subprocess.run([script], cwd="/", capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "hello\n")


def test_two_at_a_time_take_turns(root: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with bootstrap.only_one(root):
            order.append("second")

    with bootstrap.only_one(root):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(60)

    assert order == ["first", "second"]


def test_pips_index_is_used_for_uv(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)

    assert bootstrap.uv_environment(root)["UV_DEFAULT_INDEX"] == "https://index.example/simple"


def test_without_a_home_the_cache_lies_inside(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    assert bootstrap.uv_environment(root)["UV_CACHE_DIR"] == str(root / "cache")


def test_an_unreachable_index_ends_with_what_to_do(root: Path) -> None:
    for name in ("bootstrap.py", "requirements-bootstrap.lock"):
        shutil.copy(ROOT / name, root)
    done = subprocess.run(
        [sys.executable, root / "bootstrap.py"],
        env={
            "PATH": os.environ["PATH"],
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
            "PIP_RETRIES": "0",
            "PIP_NO_CACHE_DIR": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 1
    assert "Is the package index reachable?" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_without_pip_it_says_which_package_is_missing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = bootstrap.Environment(root)
    environment.python = Path("/bin/false")  # an interpreter without ensurepip
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(bootstrap.BootstrapError, match="apt install python3-pip"):
        environment._find_pip()


def test_an_old_python_is_told_what_is_needed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))

    assert bootstrap.main(["server"]) == 1
    assert "needs Python 3.11 or newer, this is 3.9.2" in capsys.readouterr().err


def test_an_unknown_group_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["everything"]) == 2
    assert "bootstrap.py [server|dev]" in capsys.readouterr().err


def test_a_user_without_a_name_is_told_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_entry(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", no_entry)
    with pytest.raises(bootstrap.BootstrapError, match=r"no name .* /etc/passwd"):
        bootstrap.require_user_name()

    monkeypatch.setenv("EXECFABRIC_DATABASE_URL", "postgresql://db.example/one")
    bootstrap.require_user_name()
