"""Files that others could have written are refused with a reason, never believed and never with a traceback."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "clusterdeck"]
SETTINGS = "[run]\nfanout = 7\n"
MACRO = ":local echo played\n"

Spoil = Callable[[Path], object]


def _link_to_shared(file: Path) -> None:
    shared = file.parent.parent / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    (shared / "real").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(shared / "real")


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


SPOILED: dict[str, Spoil] = {
    "writable for all": lambda file: file.chmod(0o666),
    "writable for the group": lambda file: file.chmod(0o664),
    "in a folder writable for all": lambda file: file.parent.chmod(0o777),
    "in a folder writable for the group": lambda file: file.parent.chmod(0o775),
    "below a folder writable for all": lambda file: file.parent.parent.chmod(0o777),
    "a link into a shared folder": _link_to_shared,
    "a pipe that nobody writes to": _fifo,
    "a folder": _folder,
    "too large": lambda file: file.write_bytes(b"#" * (5 * 1024 * 1024)),
    "not text": lambda file: file.write_bytes(b"\xff\xfe\x00\x9b"),
}
if os.geteuid() == 0:
    SPOILED["of another user"] = lambda file: os.chown(file, 12345, 12345)
    SPOILED["in another user's folder"] = lambda file: os.chown(file.parent, 12345, 12345)


def run(words: list[str], folders: dict[str, str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words],
        env=folders,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("how", [how for how in SPOILED if how != "a folder"])
def test_settings(how: str, folders: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "site" / "config" / "config.toml"
    file.parent.mkdir(parents=True, mode=0o755)
    file.write_text(SETTINGS)
    folders["CLUSTERDECK_CONFIG_DIR"] = str(file.parent)
    words = ["config", "explain", "run.fanout"]
    assert "= 7" in run(words, folders, tmp_path).stdout
    SPOILED[how](file)
    refused = run(words, folders, tmp_path)
    assert "= 7" not in refused.stdout
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert "mistake" not in refused.stderr
    assert "config.toml" in refused.stderr or "shared/real" in refused.stderr or "trusted" in refused.stderr


@pytest.mark.parametrize("how", SPOILED)
def test_macros(how: str, folders: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "config" / "macros" / "m.deck"
    file.parent.mkdir(parents=True, mode=0o755)
    file.write_text(MACRO)
    words = ["play", "m"]
    assert "played" in run(words, folders, tmp_path).stdout
    SPOILED[how](file)
    refused = run(words, folders, tmp_path)
    assert refused.returncode != 0
    assert "played" not in refused.stdout
    assert "Traceback" not in refused.stderr
    assert refused.stderr.strip()


def test_the_state_folder_is_tightened(folders: dict[str, str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    run(["run", "-R", "exec", "-w", "n1", "true"], folders, tmp_path)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert all(not file.stat().st_mode & 0o077 for file in state.rglob("*") if file.is_file())
