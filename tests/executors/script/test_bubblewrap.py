"""What of the level ``bwrap`` needs no bubblewrap to be tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from executors.script.bubblewrap.stage import pack_code


def test_process_1_finds_all_it_imports_in_its_archive(tmp_path: Path) -> None:
    archive = tmp_path / "code.zip"
    archive.write_bytes(pack_code())
    code = "import sys; sys.path.append(sys.argv[1]); import executors.script.bubblewrap.inside"

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, archive],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip

    assert done.stderr == ""
    assert done.returncode == 0
