"""The fault tests of the task manager at length: `python tests/bench/bench_taskmanager_faults.py [RUNS [KILLS]]`.

RUNS (default 84) of each of the six points of death over the wire and over Redis (84: 1,008 in all), KILLS (default
200) of a manager with a journal, and 10,000 random steps against the model for each store.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

TESTS = "tests/engine_taskmanager/"


def main() -> int:
    """Run the tests with these figures; pytest's exit code."""
    runs, kills = [*sys.argv[1:], "84", "200"][:2] if len(sys.argv) < 3 else sys.argv[1:3]
    figures = {"CLUSTERDECK_FAULT_RUNS": runs, "CLUSTERDECK_FAULT_KILLS": kills, "CLUSTERDECK_MODEL_STEPS": "10000"}
    files = [TESTS + "test_faults.py", TESTS + "test_model.py"]
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *files], env={**os.environ, **figures}, check=False)
    print(f"{runs} runs of 12 kinds, {kills} kills of a manager: {time.monotonic() - start:.0f} s")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
