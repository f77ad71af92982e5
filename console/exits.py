"""The exit codes of every front end, in one place.

With `-S` (as with clush) the exit code is the largest return code of the nodes, so any number may be seen then; the
codes below are those that clusterdeck itself gives.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What the process says at its end; `describe()` is what the manual prints."""

    OK = 0
    ERROR = 1
    USAGE = 2
    EXPECTATION_FAILED = 3
    STOPPED = 4
    UNKNOWN_HOST_KEYS = 5
    CONFIGURATION = 6
    NO_TERMINAL = 7
    REFUSED = 8
    AUDIT_FAILED = 9
    INTERRUPTED = 130
    TERMINATED = 143
    NODES_FAILED = 255

    def describe(self) -> str:
        """One sentence for the manual."""
        return _TEXT[self]


_TEXT = {
    ExitCode.OK: "Everything that was asked for was done (what nodes returned counts only with -S).",
    ExitCode.ERROR: "Something went wrong that has no code of its own; stderr names it.",
    ExitCode.USAGE: "The command line or a macro line could not be understood; nothing was run.",
    ExitCode.EXPECTATION_FAILED: "An :expect of a macro did not hold, or a line failed under :on-failure stop.",
    ExitCode.STOPPED: "A run in batches stopped early because --stop-at was reached.",
    ExitCode.UNKNOWN_HOST_KEYS: "Host keys are unknown or were refused; the hosts are listed on stderr.",
    ExitCode.CONFIGURATION: "A configuration file, a groups file or a setting is wrong or may not be trusted.",
    ExitCode.NO_TERMINAL: "The full-screen console was started without a terminal.",
    ExitCode.REFUSED: "A safety rule refused the command (protected nodes, too many nodes, an empty command).",
    ExitCode.AUDIT_FAILED: "The audit log could not be written and the settings demand it.",
    ExitCode.INTERRUPTED: "Interrupted from the keyboard (128 + SIGINT).",
    ExitCode.TERMINATED: "Asked to end by another process (128 + SIGTERM).",
    ExitCode.NODES_FAILED: "With -S: a node timed out, could not be reached or was lost.",
}
