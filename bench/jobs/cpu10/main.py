"""The trivial job after 10 ms of work."""

from __future__ import annotations

import json
import sys
import time

WORK_S = 0.010


def main(n: int) -> dict[str, object]:
    """Return n + 1 after 10 ms of CPU time, and the interpreter that runs this."""
    # CPU time, not wall time: a busy machine must not make the job cheaper.
    end = time.process_time() + WORK_S
    while time.process_time() < end:
        pass
    return {"n": n + 1, "python": sys.executable}


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
