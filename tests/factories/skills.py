from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from execfabric.core.actor import Actor, Door
from executors.script.bundle import Bundle, read_bundle
from skills.catalogue.models import Skill
from skills.catalogue.services import onboard_script

README = "# Greet\n\nSays hello.\n"
GREET = """
def main(name: str = "you", times: int = 1) -> dict:
    print("greeting", name)
    return {"greeting": f"Hello, {name}!" * times}
"""


def bundle_of(files: dict[str, str]) -> Bundle:
    """Return the bundle of a folder with these files; a README is added."""
    with TemporaryDirectory() as folder:
        for name, text in {"README.md": README, **files}.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return read_bundle(Path(folder))


def make_skill(
    name: str = "greet", code: str = GREET, *, manifest: str = "", inputs: str = "", **files: str
) -> Skill:
    """Onboard a Python skill in the current schema.

    manifest is further lines of ``[skill]``; inputs are ``[inputs.x]`` tables, where the ones of
    main()'s signature are not wanted.
    """
    contents = {"main.py": code, **files}
    if manifest or inputs:
        head = f'[skill]\nname = "{name}"\nruntime = "python"\n'
        contents["skill.toml"] = f"{head}{manifest}\n{inputs}"
    version = onboard_script(
        actor=Actor.system("tests", door=Door.COMMAND), bundle=bundle_of(contents), name=name
    )
    return version.skill
