"""A script from a tenant's folder to its people, reviewed on the way, on the running platform."""

from __future__ import annotations

import io
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from cli.transport import open_http
from tests.factories.submissions import GREET
from tests.journeys.test_main_job import run_skill, settled
from tests.live import Live

NAME = "hot-greet"
SLOW = "import time\n\ndef main() -> str:\n    time.sleep(15)\n    return 'the old one'\n"
PASSWORD = "a second pair of eyes"
WAIT_S = 120
README = GREET["README.md"]


def archive(code: str) -> bytes:
    manifest = f'[skill]\nname = "{NAME}"\nruntime = "python"\nrisk = "low"\ndescription = "Hi."\n'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        for name, text in {"main.py": code, "README.md": README, "skill.toml": manifest}.items():
            files.writestr(name, text)
    return packed.getvalue()


def submit(api: httpx.Client, code: str) -> str:
    answer = api.post(
        "/api/v1/submissions",
        files={"bundle": ("hot-greet.zip", archive(code))},
        data={"scenario": "The front desk greets visitors.", "manual": "true"},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def waited(api: httpx.Client, submission: str, *statuses: str) -> dict:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        seen = api.get(f"/api/v1/submissions/{submission}").json()
        if seen["status"] in statuses:
            return seen
        time.sleep(0.3)
    pytest.fail(f"still {seen['status']} after {WAIT_S} s: {seen}")


def approve(api: httpx.Client, submission: dict) -> httpx.Response:
    latest = submission["latest"]
    body = {
        "revision": latest["id"],
        "digest": latest["digest"],
        "packages": latest["packages"],
        "rules": {"timeout_s": 60},
    }
    return api.post(f"/api/v1/submissions/{submission['id']}/approve", json=body)


@pytest.fixture
def rita(live: Live) -> httpx.Client:
    """A second reviewer."""
    live.manage("create_admin", "rita", given=f"{PASSWORD}\n")
    client = open_http(live.url("admin"))
    body = {"username": "rita", "password": PASSWORD}
    token = client.post("/api/v1/auth/login", json=body).raise_for_status().json()["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def test_it_takes_effect_at_once_everywhere_and_is_withdrawn_at_once(live: Live, rita, tmp_path):
    dana, sam = live.api("acme", "dana"), live.api("admin", "sam")
    (tmp_path / "main.py").write_text(SLOW)
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "skill.toml").write_text(f'[skill]\nname = "{NAME}"\nruntime = "python"\n')
    assert live.manage("onboard_script", "acme", str(tmp_path)).returncode == 0
    submission = submit(dana, "def main() -> str:\n    return 'the new one'\n")
    shown = waited(sam, submission, "in_review", "blocked")
    assert shown["status"] == "in_review", shown["latest"]["checks"]
    begun = dana.post("/api/v1/executions", json={"skill": NAME, "inputs": {}}).json()

    # Both reviewers at the same moment: one verdict takes effect.
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda api: approve(api, shown), (sam, rita)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]

    published = waited(sam, submission, "live", "stuck")
    assert published["status"] == "live", published["latest"]["steps"]
    assert [step["status"] for step in published["latest"]["steps"]] == ["done"] * 4
    # Each request may meet another process of the web server.
    for _ in range(6):
        skill = dana.get(f"/api/v1/skills/{NAME}").json()
        assert skill["version"] == 2
    assert run_skill(dana, NAME, {})["output"] == "the new one"
    gina = live.api("globex", "gina")
    assert gina.get(f"/api/v1/skills/{NAME}").status_code == 404
    assert gina.get(f"/api/v1/submissions/{submission}").status_code == 404

    recall = sam.post(
        "/api/v1/tenants/acme/withdraw-version",
        json={"skill": NAME, "version": 2, "reason": "It greets the wrong people."},
    )
    assert [place["tenant"] for place in recall.json()["places"]] == ["acme"]
    for _ in range(4):
        refused = dana.post("/api/v1/executions", json={"skill": NAME, "inputs": {}})
        assert (refused.status_code, refused.json()["code"]) == (409, "version_withdrawn")
        assert "It greets the wrong people." in refused.json()["message"]

    old = settled(dana, begun["id"])
    assert (old["version"], old["output"]) == (1, "the old one")
