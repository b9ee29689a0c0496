"""docs/how-to/14-let-a-tenant-go.md, followed step by step on the running platform."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile

import pytest

from cli.transport import open_http
from tests.live import ROOT, Live

NAME = "vandelay"
PASSWORD = "correct horse battery"
DUE = """
from django.utils import timezone
from governance.tenant_data.models import TenantDeletion
from tenants.registry.models import Tenant
now = timezone.now()
TenantDeletion.objects.filter(name="{name}", status="scheduled").update(due_at=now)
Tenant.objects.filter(name="{name}").update(deletion_due_at=now)
"""
"""Lets the time of grace pass."""


@pytest.fixture
def sam(live: Live):
    return live.api("admin", "sam")


@pytest.fixture
def leaving(live: Live, sam):
    """A tenant with an account, a skill, a file and an execution; returns its file's content."""
    owner = {"username": "irene", "password": PASSWORD}
    opened = sam.post("/api/v1/tenants", json={"name": NAME, "title": "Vandelay", "owner": owner})
    assert opened.status_code == 201, opened.text
    done = live.manage("onboard_script", NAME, str(ROOT / "examples" / "text-statistics"))
    assert done.returncode == 0, done.stderr
    client = open_http(f"http://{NAME}.localhost:{live.port}")
    token = client.post("/api/v1/auth/login", json=owner).raise_for_status().json()["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    content = b"what irene uploaded\n"
    client.post("/api/v1/files", files={"file": ("notes.txt", content)}).raise_for_status()
    asked = {"skill": "text-statistics", "inputs": {"text": "to be or not to be"}}
    ended = client.post("/api/v1/executions?wait=30", json=asked).raise_for_status().json()
    assert ended["status"] == "succeeded", ended
    return opened.json(), content


def awaited(sam, path: str, *, wait_s: float = 120) -> dict:
    deadline = time.monotonic() + wait_s
    while True:
        seen = sam.get(path).raise_for_status().json()
        if seen["status"] in {"done", "failed"}:
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)


def test_the_how_to_can_be_followed(live, sam, leaving, tmp_path):
    opened, content = leaving
    reason = {"reason": "They leave."}

    # 1. Close it.
    closed = sam.post(f"/api/v1/tenants/{NAME}/close", json=reason).raise_for_status().json()
    assert closed["status"] == "closed"

    # 2. Export everything.
    made = sam.post(f"/api/v1/tenants/{NAME}/exports", json=reason)
    assert made.status_code == 201, made.text
    path = f"/api/v1/tenant-exports/{made.json()['id']}"
    export = awaited(sam, path)
    assert (export["status"], export["error"]) == ("done", "")
    archive = zipfile.ZipFile(io.BytesIO(sam.post(f"{path}/content").raise_for_status().content))

    # 3. Check it.
    folder = tmp_path / NAME
    archive.extractall(folder)
    manifest = (folder / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == export["manifest_sha256"]
    sums = dict(
        reversed(line.split("  ", 1)) for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    there = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}
    assert there == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert json.loads(manifest)["tenant"]["name"] == NAME
    assert content in [one.read_bytes() for one in (folder / "files" / "uploads").rglob("*")
                       if one.is_file()]  # fmt: skip
    whole = b"".join(one.read_bytes() for one in folder.rglob("*.jsonl"))
    assert b"irene" in whole
    assert b"argon2" not in whole
    verified = live.cli("audit", "verify", str(folder / "audit" / "trail.jsonl"),
                        config=tmp_path / "none.json")  # fmt: skip
    assert verified.returncode == 0, verified.stdout + verified.stderr

    # 4. Schedule the deletion: cancelled once, then for good.
    where = f"/api/v1/tenants/{NAME}/deletion"
    wrong = sam.post(where, json={"confirmation": "initec", **reason})
    assert (wrong.status_code, list(wrong.json()["fields"])) == (400, ["confirmation"])
    order = {"confirmation": NAME, **reason}
    first = sam.post(where, json=order).raise_for_status().json()
    sam.post(f"/api/v1/tenant-deletions/{first['id']}/cancel").raise_for_status()
    second = sam.post(where, json=order).raise_for_status().json()
    passed = live.manage("shell", "--command", DUE.format(name=NAME))
    assert passed.returncode == 0, passed.stderr
    deletion = awaited(sam, f"/api/v1/tenant-deletions/{second['id']}")

    assert (deletion["status"], deletion["error"]) == ("done", "")
    assert deletion["files_done"] >= 2
    # What is gone, and what stays.
    assert sam.get(f"/api/v1/tenants/{NAME}").status_code == 404
    assert open_http(f"http://{NAME}.localhost:{live.port}").get("/login/").status_code == 404
    stored = live.folder / "data" / "storage" / opened["schema"]
    assert not stored.exists()
    isolation = live.manage("isolation", "check")
    assert isolation.returncode == 0, isolation.stdout + isolation.stderr
    again = sam.post("/api/v1/tenants", json={"name": NAME, "title": "Vandelay again",
                     "owner": {"username": "irene"}}).raise_for_status().json()  # fmt: skip
    assert again["number"] > opened["number"]
