"""The command line of the program under test."""

import sys

PROGRAM = [sys.executable, "-m", "clusterdeck"]
