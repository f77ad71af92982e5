"""What is installed is what is in the tree: an unlisted package would be missing from the wheel without a word."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import clusterdeck
from clusterdeck.tests.support.tree import ROOMS, ROOT, installed_files, modules, pyproject


def test_the_package_list_is_the_tree() -> None:
    listed = pyproject()["tool"]["setuptools"]["packages"]
    found = {".".join(("clusterdeck", *path.parent.parts)) for path in modules()}
    assert sorted(listed) == sorted(found)
    assert len(set(listed)) == len(listed)


def test_every_folder_with_modules_is_a_package() -> None:
    missing = {str(path.parent) for path in modules() if not (ROOT / path.parent / "__init__.py").is_file()}
    assert not missing


def test_no_room_is_imported_under_its_bare_name() -> None:
    """`import engine` would work in a checkout, and take whatever is called engine.py beside a user's script."""
    stray: list[str] = []
    for path in [*modules(), *(file.relative_to(ROOT) for file in (ROOT / "tests").rglob("*.py"))]:
        for node in ast.walk(ast.parse((ROOT / path).read_text(), str(path))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            stray += [f"{path}: {name}" for name in names if name.split(".")[0] in (*ROOMS, "tests")]
    assert not stray


def data_files() -> list[Path]:
    """What is installed beside the package: the manual page and the shells' completions."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    return [Path(file) for files in settings.values() for file in files]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what belongs to the project: building leaves files behind."""
    source = tmp_path_factory.mktemp("source")
    for path in installed_files():
        (source / path.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, source / path)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source / name)
    for path in data_files():
        (source / path.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, source / path)
    out = tmp_path_factory.mktemp("wheel")
    script = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", script, str(out)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packed = {name for name in names if ".dist-info/" not in name and ".data/" not in name}
    assert packed == {f"clusterdeck/{path.as_posix()}" for path in installed_files()}
    beside = {name.rpartition("/")[2] for name in names if ".data/data/share/" in name}
    assert beside == {path.name for path in data_files()}


def test_the_wheel_works_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
        (points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        commands = archive.read(points).decode()
    assert "clusterdeck = clusterdeck.console.cli:script" in commands
    assert "cdeck = clusterdeck.console.cli:script" in commands
    # -P and the folder first in the path: the wheel's files, not those of the editable install.
    environment = {**os.environ, "PYTHONPATH": str(place)}
    where = subprocess.run(
        [sys.executable, "-c", "import clusterdeck; print(clusterdeck.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.strip() == str(place / "clusterdeck" / "__init__.py")
    answer = subprocess.run(
        [sys.executable, "-m", "clusterdeck", "--version"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert clusterdeck.__version__ in answer.stdout


def test_the_version_is_in_the_changelog() -> None:
    assert f"## [{clusterdeck.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
