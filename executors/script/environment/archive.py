"""An environment as one file, for hosts that share no disk with the one that built it.

It holds what was installed, and not the interpreter: that is the receiving host's own.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from pathlib import Path
from typing import IO

from executors.contract import MEBIBYTE
from executors.script.environment.errors import EnvironmentBuildError

MOST_FILES = 200_000
MOST_BYTES = 8192 * MEBIBYTE
PACKED = ("bin", "lib")
COMPRESSION = 3


def pack_environment(environment: Path, target: IO[bytes]) -> None:
    """Write a tar.gz of what is installed in environment."""
    with tarfile.open(
        fileobj=target, mode="w:gz", compresslevel=COMPRESSION, format=tarfile.PAX_FORMAT
    ) as archive:
        for top in PACKED:
            for folder, names, files in os.walk(environment / top):
                names.sort()
                for name in sorted(files):
                    path = Path(folder, name)
                    found = path.lstat()
                    if not stat.S_ISREG(found.st_mode):
                        continue
                    entry = tarfile.TarInfo(str(path.relative_to(environment)))
                    entry.size = found.st_size
                    entry.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
                    with path.open("rb") as stream:
                        archive.addfile(entry, stream)


def unpack_environment(source: IO[bytes], environment: Path) -> None:
    """Add what an archive holds to an empty environment. Raises EnvironmentBuildError.

    Whatever the archive says, nothing is written elsewhere and nothing is replaced.
    """
    files, size = 0, 0
    try:
        with tarfile.open(fileobj=source, mode="r|gz") as archive:
            for entry in archive:
                files, size = files + 1, size + entry.size
                parts = entry.name.split("/")
                odd = not entry.isreg() or parts[0] not in PACKED or {"", ".", ".."} & {*parts}
                if odd or files > MOST_FILES or size > MOST_BYTES:
                    raise EnvironmentBuildError("The stored packages are not what was stored.")
                _write(archive.extractfile(entry), environment.joinpath(*parts), entry.mode)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise EnvironmentBuildError("The stored packages are damaged.") from error
    except OSError as error:
        raise EnvironmentBuildError(
            f"The stored packages cannot be unpacked: {error.strerror or error}."
        ) from error


def _write(content: IO[bytes] | None, path: Path, mode: int) -> None:
    if content is None:
        raise ValueError(path.name)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.open("xb") as stream:
        shutil.copyfileobj(content, stream)
    path.chmod(0o755 if mode & stat.S_IXUSR else 0o644)
