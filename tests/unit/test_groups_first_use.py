"""Two threads may ask for the first group at the same moment: the prompt's and the completion's do."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ClusterShell.NodeUtils import GroupResolverConfig

from clusterdeck.console.runs.run_store import RunStore
from clusterdeck.console.session import group_files
from clusterdeck.console.session.node_expressions import DeckResolver, parse_nodes


class _SlowConfig(GroupResolverConfig):  # type: ignore[misc]
    """Reading the configuration takes long enough for a second thread to come in between."""

    def _parse_config(self, cfg_dirname: str) -> None:
        time.sleep(0.2)
        super()._parse_config(cfg_dirname)


def test_nobody_sees_half_read_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "groups.conf").write_text("[Main]\ndefault: local\n[local]\nmap: echo node[1-2]\n")
    resolver = _SlowConfig([str(tmp_path / "groups.conf")])
    monkeypatch.setattr(group_files, "std_group_resolver", lambda: resolver)
    ours = DeckResolver(RunStore(), lambda _name: None, lambda _name: None)
    together = threading.Barrier(4)

    def ask(_: int) -> str:
        together.wait()
        return str(parse_nodes("@web", ours))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == ["node[1-2]"] * 4
