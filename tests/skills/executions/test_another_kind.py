"""An executor kind from a package of its own, made as the how-to page says."""

from __future__ import annotations

import importlib
import re
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from execfabric.core.models import AuditEvent
from executors.registry import EXECUTORS, BrokenPlugin
from skills.catalogue.models import Skill
from skills.executions import running
from skills.executions.worker import Worker

pytestmark = pytest.mark.usefixtures("acme")
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "04-add-an-executor-kind.md"
FILE = re.compile(r"`([\w.]+)`:\n\n {3}```\w+\n(.*?)\n {3}```", re.DOTALL)


@pytest.fixture
def files():
    """The files of the page, by name."""
    found = FILE.findall(PAGE.read_text(encoding="utf-8"))
    return {name: textwrap.dedent(text) for name, text in found}


@pytest.fixture
def install(files, tmp_path, monkeypatch):
    """Put the page's package where Python finds it, as an installer does."""
    for name in ("_classes", "_instances"):
        monkeypatch.setattr(EXECUTORS, name, dict(getattr(EXECUTORS, name)))
    monkeypatch.setattr(EXECUTORS, "_plugins_loaded", False)

    def put(module: str = files["echo_kind.py"]) -> None:
        project = tomllib.loads(files["pyproject.toml"])["project"]
        site = tmp_path / "site"
        about = site / f"echo_kind-{project['version']}.dist-info"
        about.mkdir(parents=True)
        (site / "echo_kind.py").write_text(module)
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        groups = project["entry-points"].items()
        (about / "entry_points.txt").write_text(
            "\n".join(
                f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
                for group, points in groups
            )
        )
        monkeypatch.syspath_prepend(site)
        importlib.invalidate_caches()

    yield put
    sys.modules.pop("echo_kind", None)


@pytest.fixture
def folder(files, tmp_path):
    """A folder that describes a skill of the kind."""
    folder = tmp_path / "say-hello"
    folder.mkdir()
    (folder / "skill.toml").write_text(files["skill.toml"])
    (folder / "README.md").write_text("# Say hello\n\nGreets everybody by name.\n")
    return folder


def register(folder):
    call_command("register_skill", "acme", str(folder))
    return Skill.objects.get(name="say-hello")


def run(person, text):
    body = {"skill": "say-hello", "inputs": {"text": text}}
    created = person.api.post("/api/v1/executions", body, format="json")
    assert created.status_code == 201, created.content
    running.run_execution(created.json()["id"])
    return f"/api/v1/executions/{created.json()['id']}"


def test_a_skill_of_the_kind_runs_through_the_whole_chain(install, folder, person):
    install()
    skill = register(folder)
    oscar = person("oscar")

    path = run(oscar, "Ada Grace")

    execution = oscar.api.get(path).json()
    assert (execution["status"], execution["title"]) == ("succeeded", "Say hello")
    assert execution["output"] == {"said": ["Hello Ada", "Hello Grace"]}
    assert execution["progress"] == {"fraction": 1.0, "message": "Grace"}
    log = oscar.api.get(f"{path}/log").json()
    assert "".join(chunk["text"] for chunk in log["chunks"]) == "Hello Ada\nHello Grace\n"
    assert log["final"] is True
    trail = AuditEvent.objects.filter(target_id=execution["id"]).order_by("id")
    assert [event.code.rpartition(".")[2] for event in trail] == ["request", "claim", "finish"]
    assert AuditEvent.objects.filter(code="catalogue.skill.register").count() == 1
    for page in (f"/skills/{skill.name}/", f"/executions/{execution['id']}/"):
        assert oscar.browser.get(page).status_code == 200


def test_inputs_are_checked_as_those_of_a_script(install, folder, person):
    install()
    register(folder)
    body = {"skill": "say-hello", "inputs": {"text": 5}}

    answer = person("oscar").api.post("/api/v1/executions", body, format="json")

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["text"])


def test_the_same_description_changes_nothing_and_another_is_the_next_version(install, folder):
    install()
    first = register(folder).version
    assert register(folder).version == first
    manifest = folder / "skill.toml"
    manifest.write_text(manifest.read_text().replace('"Hello"', '"Hi"'))

    second = register(folder).version

    assert (second.number, second.resource) == (2, {"greeting": "Hi"})


def test_a_resource_its_kind_does_not_take_is_refused_in_its_words(install, folder):
    install()
    manifest = folder / "skill.toml"
    manifest.write_text(manifest.read_text().replace("greeting", "greetings"))

    with pytest.raises(CommandError, match="one text: greeting"):
        register(folder)
    assert not Skill.objects.exists()


def test_a_kind_that_is_not_installed_is_named_with_the_known_ones(folder):
    with pytest.raises(CommandError, match=r"no executor for 'echo'. Known kinds: .*script"):
        register(folder)


def test_a_script_does_not_come_in_by_this_way(install, folder):
    manifest = folder / "skill.toml"
    manifest.write_text(manifest.read_text().replace('"echo"', '"script"'))

    with pytest.raises(CommandError, match="onboard_script"):
        register(folder)


def test_a_worker_that_lacks_the_kind_ends_the_run_with_the_reason(
    install, folder, person, monkeypatch
):
    install()
    register(folder)
    monkeypatch.setattr(EXECUTORS, "_classes", {"script": EXECUTORS._classes["script"]})
    oscar = person("oscar")

    execution = oscar.api.get(run(oscar, "Ada")).json()

    assert (execution["status"], execution["stop_reason"]) == ("failed", "could_not_start")
    assert "no executor for 'echo'" in execution["error"]


def test_a_worker_does_not_start_with_a_package_that_cannot_be_loaded(install):
    install("import nothing_of_that_name\n")

    with pytest.raises(BrokenPlugin, match=r"'echo' .* cannot be loaded: ModuleNotFoundError"):
        Worker(["executions"], slots=1).start()
