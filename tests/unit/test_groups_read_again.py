"""Groups that changed are seen when asked for anew, and files are as little trusted as at the first reading."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ClusterShell.NodeUtils import GroupResolverConfigError

from clusterdeck.console.session.group_files import TrustedGroups, forget_groups
from clusterdeck.console.settings.trust import TrustError

CONF = """\
[Main]
default: program
autodir: {folder}
[program]
map: cat {folder}/$GROUP.members
cache_time: 3600
"""


@pytest.fixture
def groups(tmp_path: Path) -> TrustedGroups:
    """A program's groups, which are kept for an hour, and a file's."""
    (tmp_path / "groups.conf").write_text(CONF.format(folder=tmp_path))
    (tmp_path / "web.members").write_text("node[1-2]\n")
    write(tmp_path, "roles:\n  db: node5\n")
    made = TrustedGroups([str(tmp_path / "groups.conf")])
    assert [asked(made, "web"), asked(made, "db", "roles")] == [["node[1-2]"], ["node5"]]
    return made


def write(folder: Path, text: str) -> None:
    """A file that is surely newer than what was read before."""
    file = folder / "site.yaml"
    file.write_text(text)
    later = time.time() + 10
    os.utime(file, (later, later))


def asked(groups: TrustedGroups, name: str, source: str | None = None) -> list[str]:
    return [str(node) for node in groups.group_nodes(name, source)]


def test_programs_and_files_are_asked_again(groups: TrustedGroups, tmp_path: Path) -> None:
    (tmp_path / "web.members").write_text("node[1-9]\n")
    write(tmp_path, "roles:\n  db: node[5-6]\n")
    assert [asked(groups, "web"), asked(groups, "db", "roles")] == [["node[1-2]"], ["node5"]]  # both are kept
    forget_groups(groups)
    assert [asked(groups, "web"), asked(groups, "db", "roles")] == [["node[1-9]"], ["node[5-6]"]]


@pytest.mark.parametrize("text", ["roles:\n  a: &a x\n  b: [" + "*a," * 101 + "]\n", "roles: {&a b: *a\n"])
def test_a_file_that_became_a_bomb_is_not_read(groups: TrustedGroups, tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises((TrustError, GroupResolverConfigError), match=r"site\.yaml"):
        forget_groups(groups)
    assert asked(groups, "db", "roles") == ["node5"]


def test_a_file_that_others_may_write_now_is_not_read(groups: TrustedGroups, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").chmod(0o666)
    with pytest.raises(TrustError, match=r"site\.yaml"):
        forget_groups(groups)
