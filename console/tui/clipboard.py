"""Text to the operator's clipboard: the terminal's own way (OSC 52), and a native tool where one is at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

_TOOLS = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("", ("pbcopy",)),
)
#: Seconds that a tool may take.
TIMEOUT = 2.0


def native_tool(environment: Mapping[str, str] | None = None) -> tuple[str, ...] | None:
    """The command that fills the clipboard of this machine, if there is one and somebody sits in front of it."""
    environment = os.environ if environment is None else environment
    if "SSH_CONNECTION" in environment:
        return None  # the clipboard that counts is on the other side; OSC 52 reaches it
    for variable, command in _TOOLS:
        if (not variable or variable in environment) and shutil.which(command[0]):
            return command
    return None


def copy_native(text: str) -> bool:
    """Fill the clipboard with a native tool; False where there is none or it failed. May take TIMEOUT seconds."""
    command = native_tool()
    if command is None:
        return False
    try:
        done = subprocess.run(
            command, input=text.encode(), timeout=TIMEOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
