from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from execfabric.core.actor import Actor
from skills.hot_update.models import Revision, Submission
from skills.hot_update.submitting import services
from skills.hot_update.submitting.manifests import draft_of
from tests.factories.skills import bundle_of

README = """# Greet

## Purpose

Says hello to somebody, for the front desk.

## Input

The name, and how often.

## Output

A greeting.

## Prerequisites

None.

## Files generated

None.
"""
MANIFEST = """
[skill]
name = "greet"
title = "Greet"
description = "Says hello."
risk = "low"

[inputs.name]
type = "string"
description = "Whom to greet."
default = "you"

[inputs.times]
type = "integer"
description = "How often."
default = 1
"""
MAIN = """
def main(name: str = "you", times: int = 1) -> dict:
    print("greeting", name)
    return {"greeting": f"Hello, {name}!" * times}
"""
GREET = {"main.py": MAIN, "README.md": README, "skill.toml": MANIFEST}
ANSWERS = services.Answers(
    scenario="The front desk greets visitors.", ai_callable=False, manual=True, confirm=False
)


def submit(
    actor: Actor, files: dict[str, str] | None = None, *, name: str = "", **answers: Any
) -> Submission:
    """Submit GREET with files put over it, in the current schema, through the service."""
    bundle = bundle_of({**GREET, **(files or {})})
    return services.submit_script(
        actor=actor,
        bundle=bundle,
        manifest=draft_of(bundle, name=name).tables,
        answers=replace(ANSWERS, **answers),
    )


def revise(actor: Actor, submission: Submission, files: dict[str, str]) -> Submission:
    bundle = bundle_of({**GREET, **files})
    return services.revise_submission(
        actor=actor,
        submission=submission,
        bundle=bundle,
        manifest=draft_of(bundle, name=submission.skill_name).tables,
        answers=ANSWERS,
    )


def latest(submission: Submission) -> Revision:
    return submission.revisions.select_related("submission__tenant").latest("number")


def archive(files: dict[str, str | bytes] | None = None, *, name: str = "greet.zip") -> Any:
    """Return an upload: a zip of GREET with files put over it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for path, content in {**GREET, **(files or {})}.items():
            zipped.writestr(path, content)
    return SimpleUploadedFile(name, packed.getvalue(), content_type="application/zip")
