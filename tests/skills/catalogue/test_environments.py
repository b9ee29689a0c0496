"""Locked packages from onboarding to a run, also on a worker that shares no disk."""

from __future__ import annotations

import threading
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import InvalidInput
from executors.contract import ExecutorError
from executors.script.environment.store import Environments
from skills.catalogue import environments
from skills.catalogue.models import ScriptEnvironment, ScriptVersion, Skill
from skills.catalogue.services import onboard_script
from skills.catalogue.workspace import sync_script
from skills.executions import running, services
from skills.executions.states import Status
from tests.factories.skills import bundle_of, make_skill
from tests.factories.wheels import make_wheel

pytestmark = pytest.mark.usefixtures("acme")
USES_GREETING = """
import greeting

def main() -> str:
    return greeting.WORD
"""
OTHER_PYTHON = """
# /// script
# requires-python = ">=3.99"
# ///
def main() -> int:
    return 1
"""


@pytest.fixture
def listed() -> str:
    """A requirements file that makes the bundle like no other test's."""
    return f"greeting\n# {uuid4()}\n"


@pytest.fixture
def skill(wheels, listed) -> Skill:
    return make_skill("hello", USES_GREETING, **{"requirements.txt": listed})


@pytest.fixture
def second_worker(skill, settings, monkeypatch, open_data_folder) -> Path:
    """The data folder of another worker: same database and storage, no package to be had."""
    monkeypatch.setattr(Environments, "_install", must_not_install)
    monkeypatch.setenv("UV_FIND_LINKS", "/nowhere")
    settings.DATA_DIR = open_data_folder
    return open_data_folder


@pytest.fixture
def open_data_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("second")


def must_not_install(*_):
    raise AssertionError("Nothing is installed at run time.")


def version_of(skill: Skill) -> ScriptVersion:
    assert skill.version is not None
    assert skill.version.script_version is not None
    return skill.version.script_version


def archive_of(skill: Skill) -> str:
    digest = version_of(skill).environment_id
    return f"{connection.schema_name}/environments/{digest}.tar.gz"


def damage(stored_as: str) -> None:
    path = Path(default_storage.path(stored_as))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def run(person, skill: Skill):
    actor = person("oscar").actor
    execution = services.request_execution(actor=actor, skill=skill, inputs={})
    running.run_execution(str(execution.pk))
    execution.refresh_from_db()
    return execution


def test_the_lock_is_stored_with_the_version_and_cannot_be_changed(skill):
    environment = version_of(skill).environment

    assert environment.lock.startswith("greeting==1.0 --hash=sha256:")
    assert [package.name for package in environment.packages] == ["greeting"]
    with pytest.raises(DatabaseError), transaction.atomic():
        ScriptEnvironment.objects.update(lock="evil==1 --hash=sha256:00")


def test_a_script_that_asks_for_nothing_has_no_environment():
    assert version_of(make_skill()).environment is None


def test_the_same_bundle_keeps_the_lock_that_was_reviewed(skill, wheels, listed):
    make_wheel(wheels, "greeting", "2.0", code="WORD = 'new'\n")

    again = make_skill("hello", USES_GREETING, **{"requirements.txt": listed})
    other = make_skill("other", USES_GREETING, **{"requirements.txt": listed})

    reviewed = version_of(skill).environment_id
    assert {version_of(again).environment_id, version_of(other).environment_id} == {reviewed}


def test_two_tenants_with_the_same_packages_share_one_folder_on_disk(skill, globex, settings):
    with schema_context(globex.schema_name):
        theirs = make_skill("theirs", USES_GREETING, **{"requirements.txt": "greeting\n# \n"})
        assert version_of(theirs).environment_id == version_of(skill).environment_id
        assert default_storage.exists(archive_of(theirs))

    digest = version_of(skill).environment_id
    assert len(list((settings.DATA_DIR / "environments").glob(digest))) == 1


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"requirements.txt": "no-such-package\n"}, "no-such-package"),
        ({"requirements.txt": "-r other.txt\n"}, "an option"),
        ({"main.py": OTHER_PYTHON}, "asks for Python >=3.99, but this machine has only 3"),
        ({"skill.toml": "[skill]\nname='x'\nruntime='python'\nrequires_python='3.x'\n"}, "3.x"),
        ({"main.sh": "true\n", "requirements.txt": "greeting\n",
          "skill.toml": "[skill]\nname='x'\nruntime='shell'\n"}, "Shell script"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_rejects_the_onboarding_and_says_why(wheels, settings, files, why):
    bundle = bundle_of({"main.py": "def main() -> int:\n    return 1\n", **files})

    with pytest.raises(InvalidInput, match=why) as caught:
        onboard_script(actor=Actor.system("tests", door=Door.COMMAND), bundle=bundle, name="x")

    assert not Skill.objects.exists()
    assert str(settings.DATA_DIR) not in str(caught.value)
    assert str(wheels) not in str(caught.value)


def test_a_second_worker_runs_a_script_with_a_package_it_never_installed(
    skill, second_worker, person
):
    execution = run(person, skill)

    assert execution.status == Status.SUCCEEDED, execution.error
    assert execution.output == "hello"
    assert list(second_worker.glob("environments/*/lib/**/greeting.py"))
    assert list(second_worker.glob(f"workspace/{connection.schema_name}/*/main.py"))


def test_first_uses_at_the_same_time_fetch_once(skill, second_worker, monkeypatch):
    fetched = []
    fetch = environments._fetch
    monkeypatch.setattr(environments, "_fetch", lambda digest: fetched.append(1) or fetch(digest))
    version = version_of(skill)
    row = version.environment
    monkeypatch.setattr(ScriptEnvironment.objects, "get", lambda **_: row)
    schema, found = connection.schema_name, []

    def sync() -> None:
        with schema_context(schema):
            found.append(sync_script(version))

    threads = [threading.Thread(target=sync) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len({each.python for each in found}) == 1
    assert fetched == [1]


def test_a_damaged_archive_is_refused_and_a_whole_one_taken_the_next_time(
    skill, second_worker, person
):
    stored_as = archive_of(skill)
    whole = Path(default_storage.path(stored_as)).read_bytes()
    damage(stored_as)

    refused = run(person, skill)
    assert refused.status == Status.FAILED
    assert "lacks the Python or the packages" in refused.error
    assert not list(second_worker.glob("environments/*/bin"))

    Path(default_storage.path(stored_as)).write_bytes(whole)
    assert run(person, skill).status == Status.SUCCEEDED


def test_an_archive_damaged_on_its_way_is_asked_for_once_more(skill, second_worker, monkeypatch):
    opened = environments.open_file
    seen = []

    def open_file(stored_as):
        seen.append(stored_as)
        if len(seen) == 1:
            return opened(version_of(skill).stored_as)
        return opened(stored_as)

    monkeypatch.setattr(environments, "open_file", open_file)

    assert sync_script(version_of(skill)).python.exists()
    assert len(seen) == 2


def test_an_archive_that_the_platform_did_not_pack_is_refused(skill, second_worker, settings):
    settings.SECRET_KEY = "another platform's key, which is long enough"

    with pytest.raises(ExecutorError, match="lacks the Python or the packages"):
        sync_script(version_of(skill))


def test_an_archive_of_other_packages_is_refused(skill, wheels, request):
    make_wheel(wheels, "other")
    other = make_skill("other", "import other\n", **{"requirements.txt": "other\n"})
    content = Path(default_storage.path(archive_of(other))).read_bytes()
    Path(default_storage.path(archive_of(skill))).write_bytes(content)
    request.getfixturevalue("second_worker")

    with pytest.raises(ExecutorError, match="lacks the Python or the packages"):
        sync_script(version_of(skill))
    assert sync_script(version_of(other)).python.exists()


def test_onboarding_again_mends_what_is_damaged_in_storage(skill, listed):
    for stored_as in (archive_of(skill), version_of(skill).stored_as):
        damage(stored_as)

    make_skill("hello", USES_GREETING, **{"requirements.txt": listed})

    environments._fetch(version_of(skill).environment_id).close()
    with default_storage.open(version_of(skill).stored_as) as stored:
        bundle = bundle_of({"main.py": USES_GREETING, "requirements.txt": listed})
        assert stored.read() == bundle.pack()


def test_a_damaged_bundle_is_refused(skill, second_worker, person):
    damage(version_of(skill).stored_as)

    assert run(person, skill).status == Status.FAILED
    assert not list(second_worker.glob(f"workspace/{connection.schema_name}/*/main.py"))


def test_a_version_from_before_packages_were_locked_is_replaced_by_onboarding_again(
    skill, listed, monkeypatch
):
    listed += "# another\n"
    with monkeypatch.context() as before:
        before.setattr("skills.catalogue.services._lock", lambda *_: None)
        old = make_skill("old", USES_GREETING, **{"requirements.txt": listed})
    with pytest.raises(ExecutorError, match=r"never locked\. Onboard the script again"):
        sync_script(version_of(old))

    new = make_skill("old", USES_GREETING, **{"requirements.txt": listed})

    assert version_of(new).digest == version_of(old).digest
    assert sync_script(version_of(new)).python.exists()


def test_the_api_shows_the_python_and_the_locked_packages(skill, person):
    shown = person("oscar").api.get("/api/v1/skills/hello").json()["environment"]

    assert shown["python"] == version_of(skill).environment.python
    assert shown["packages"] == [{"name": "greeting", "version": "1.0"}]
    assert shown["lock"] == version_of(skill).environment.lock


def test_the_page_shows_the_python_and_the_locked_packages(skill, person):
    page = person("oscar").browser.get("/skills/hello/").content.decode()

    assert version_of(skill).environment.python in page
    assert "greeting" in page
    assert version_of(skill).environment.lock.strip() in page


def test_a_script_without_packages_says_so_on_its_page(person):
    make_skill()

    page = person("oscar").browser.get("/skills/greet/").content.decode()

    assert "own, without packages" in page
    assert person("oscar").api.get("/api/v1/skills/greet").json()["environment"] is None
