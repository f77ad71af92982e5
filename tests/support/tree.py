"""The repository as a tree of packages and files, for the tests that hold rules against it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: Top folders that are installed; the rest (tests, docs) is not.
ROOMS = ("console", "engine", "widgets", "themes")
_IGNORED = {"__pycache__", "build", "site"}


def pyproject() -> dict[str, Any]:
    """The project's own pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def installed_files() -> Iterator[Path]:
    """Every file of the rooms and of the root package, relative to the root, without caches."""
    for name in ("__init__.py", "__main__.py", "py.typed"):
        yield Path(name)
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            relative = path.relative_to(ROOT)
            if path.is_file() and not _IGNORED & set(relative.parts) and path.suffix not in (".pyc", ".pyo"):
                yield relative


def modules() -> Iterator[Path]:
    """Every installed Python file, relative to the root."""
    return (path for path in installed_files() if path.suffix == ".py")
