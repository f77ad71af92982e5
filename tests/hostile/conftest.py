"""Nothing of the operator's own reaches these tests, and nothing of theirs leaves the test's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The environment that moves every folder of the program below tmp_path; it is set here, too."""
    moved = {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    moved |= {"HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8", "TMPDIR": str(tmp_path / "tmp")}
    # Recorded terminals answer no question about the cursor, which would cost a second per prompt.
    moved["PROMPT_TOOLKIT_NO_CPR"] = "1"
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "tmp").mkdir(mode=0o700)
    for name, value in moved.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "SSH_CONNECTION", "SSH_AUTH_SOCK", "TEXTUAL_THEME", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    return {"PATH": os.environ["PATH"], **moved}


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which nothing may appear."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
