"""The folder a worker keeps for its runs: their folders, compiled code, a copied interpreter."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from executors.script.level import MachineProblem


class StateFolder:
    def __init__(self, path: Path | None, *, is_entered: bool, is_seen: bool) -> None:
        """path: None for one among the temporary files. is_entered: whether other users have to,
        and is_seen: whether they do so from outside of a sandbox."""
        self.path = path or Path(tempfile.gettempdir()) / f"execfabric-{os.geteuid()}"
        self.runs = self.path / "runs"
        self.compiled = self.path / "compiled"
        self.python = self.path / "python"
        self._is_entered = is_entered
        self._is_seen = is_seen
        self._is_made = False

    def make_if_gone(self) -> None:
        """Make it unless it was: temporary folders get cleaned. Raises MachineProblem."""
        if not (self._is_made and self.runs.is_dir()):
            self.make()

    def make(self) -> None:
        """Make sure the folders are there and ours. Raises MachineProblem."""
        mode = 0o711 if self._is_entered else 0o700
        try:
            for folder, its_mode in ((self.path, mode), (self.runs, mode), (self.compiled, 0o700)):
                folder.mkdir(mode=its_mode, parents=True, exist_ok=True)
                # Below a temporary folder somebody else could have been first.
                found = folder.lstat()
                if folder.is_symlink() or found.st_uid != os.geteuid():
                    raise MachineProblem(f"The folder {folder} belongs to another user.")
                folder.chmod(its_mode)
        except OSError as error:
            raise MachineProblem(f"The folder {self.path} cannot be used: {error}.") from error
        closed = [p for p in self.path.absolute().parents if not p.stat().st_mode & 0o001]
        if self._is_entered and closed and self._is_seen:
            raise MachineProblem(
                f"Runs cannot enter {self.path}, since {closed[0]} is closed to other users. "
                "Choose another state folder."
            )
        self._is_made = True
