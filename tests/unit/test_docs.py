"""The manual says what the program says, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clusterdeck.docs import make_settings
from clusterdeck.tests.support.tree import ROOT

_PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_the_settings_page_is_the_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == make_settings.page(), "run: python docs/make_settings.py"


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
