"""python -m execfabric.embedded demo [--follow-parent]"""

import argparse
import os
import sys

from execfabric.embedded.demo import plan_demo
from execfabric.embedded.errors import EmbeddedError
from execfabric.embedded.launcher import Launcher, own_terminal
from execfabric.embedded.supervisor import Supervisor


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m execfabric.embedded",
        description="Run the whole platform in the foreground on one machine.",
    )
    parser.add_argument("command", choices=["demo"], help="what to run")
    parser.add_argument(
        "--follow-parent",
        action="store_true",
        help="stop when the starting process ends, as make demo wants it",
    )
    arguments = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("The embedded servers run on Linux, WSL included. Elsewhere use Docker Compose.")
    launcher = Launcher()
    if arguments.follow_parent:
        launcher.follow()
    try:
        plan = plan_demo(os.environ)
    except EmbeddedError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        return 0
    with own_terminal():
        return Supervisor(plan, launcher=launcher).run()


if __name__ == "__main__":
    sys.exit(main())
