"""The manual says what the program says, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.language.language import parse, render
from clusterdeck.docs import make_keys, make_settings
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.tree import ROOT
from clusterdeck.widgets.actions import ACTIONS

_PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_the_settings_page_is_the_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == make_settings.page(), "run: python docs/make_settings.py"


def test_the_page_of_keys_is_the_keymap() -> None:
    text = (ROOT / "docs" / "keys.md").read_text()
    assert text == make_keys.page(), "run: python docs/make_keys.py"
    assert [action for action in ACTIONS if f"| `{action}` |" not in text] == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    local = [target for target in _LINK.findall(text) if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    assert [
        page.name for page in (ROOT / "docs").rglob("*.md") if f" {page.relative_to(ROOT / 'docs')}\n" not in menu
    ] == []


def _console_lines(page: Path) -> list[str]:
    """Lines of fences without a language: what is typed at the prompt, with its explanation two blanks behind."""
    fences = re.findall(r"^```([a-z]*)\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = [line for language, text in fences if not language for line in text.splitlines()]
    return [line for line in (re.sub(r"\s{2,}.*", "", line) for line in lines) if line]


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
def test_every_line_to_type_is_understood(name: str) -> None:
    registry = default_registry()
    lines = _console_lines(ROOT / name)
    assert len(lines) > 8
    for line in lines:
        assert parse(render(parse(line, registry)), registry).spec is parse(line, registry).spec, line


_BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(_BLOCKS)))
def test_every_block_of_the_library_guide_runs(number: int, sshd: Sshd, tmp_path: Path) -> None:
    """As it stands, with the test server as node1..node64: for `ssh` by a wrapper in the path, otherwise by HOME."""
    for program in ("ssh", "scp"):
        wrapper = tmp_path / "bin" / program
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which(program)} -F {sshd.config} "$@"\n')
        wrapper.chmod(0o755)
    (tmp_path / "home" / ".ssh").mkdir(parents=True, mode=0o700)
    (tmp_path / "home" / ".ssh" / "config").write_text(sshd.config.read_text())
    (tmp_path / "home" / ".ssh" / "config").chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", _BLOCKS[number]],
        env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{_BLOCKS[number]}\n{done.stdout}\n{done.stderr}"
    assert "resolve" not in done.stdout
