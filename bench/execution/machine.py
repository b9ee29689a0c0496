"""Facts about this machine that a reader needs to judge the figures."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

ASK_VERSION = "import platform; print(platform.python_version())"


def facts(python: str = "", sandbox: str = "") -> str:
    """Return date, machine, the version of python (it runs the jobs) and the sandbox level."""
    version = platform.python_version()
    if python:
        asked = subprocess.run(
            [python, "-c", ASK_VERSION], capture_output=True, text=True, check=True
        )
        version += f"; the jobs run on {asked.stdout.strip()}"
    lines = [
        f"- Measured on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- Processors: {os.cpu_count()} ({_processor()})",
        f"- Kernel: {platform.system()} {platform.release()}",
        f"- Python: {version}",
    ]
    if sandbox:
        lines.append(f"- Sandbox level in force on the platform: `{sandbox}`")
    return "\n".join(lines)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
