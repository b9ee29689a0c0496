"""A supervisor on stand-in children: fake_platform.py FOLDER [crash|deaf|slow|broken|make|long]

Each child has a grandchild in a session of its own, as the platform's workers do. crash ends
each child at once, deaf makes children ignore TERM for two minutes, slow never finishes preparing,
broken fails to. make ends with the program that started it. With long every server counts as having
run for long.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from execfabric.embedded import child, supervisor
from execfabric.embedded.child import ChildPlan
from execfabric.embedded.launcher import Launcher, own_terminal
from execfabric.embedded.services import Services
from execfabric.embedded.supervisor import PlatformPlan, Supervisor

TREE = """
import os, signal, subprocess, sys, time
if "{mode}" == "crash": sys.exit("no such table: tenants")
if "{mode}" == "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = "import os, time; os.setsid(); open(sys.argv[1], 'w'); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", "import sys;" + sleep, "{ready}"])
time.sleep(600)
"""
PREPARE = """
import os, time
print("prepared with", os.environ["EXECFABRIC_DATABASE_URL"][:10], flush=True)
if "{mode}" == "slow": time.sleep(600)
if "{mode}" == "broken": raise SystemExit("cannot seed: no tenant")
"""


def plan(folder: Path, mode: str) -> PlatformPlan:
    """Return a platform of two children in folder."""
    children = []
    for name in ("web", "worker"):
        ready = folder / f"{name}.ready"
        code = TREE.format(mode=mode, ready=ready)
        command = (sys.executable, "-c", code)
        plan = ChildPlan(name, command, ready.exists, ready, starts_last=name == "worker")
        children.append(replace(plan, stop_timeout_s=120) if mode == "deaf" else plan)
    return PlatformPlan(
        folder=folder,
        services=Services(folder / "var", fast=True),
        environment=os.environ,
        children=tuple(children),
        prepare=(sys.executable, "-c", PREPARE.format(mode=mode)),
        ready_text=lambda: "The stand-in is ready",
    )


if __name__ == "__main__":
    child.FIRST_PAUSE_S = 0.05
    mode = sys.argv[2] if len(sys.argv) > 2 else ""
    if mode == "long":
        supervisor.QUICK_CRASH_S = 0.0
    launcher = Launcher()
    if mode == "make":
        launcher.follow()
    with own_terminal():
        sys.exit(Supervisor(plan(Path(sys.argv[1]), mode), launcher=launcher).run())
