"""TopologyUser: routes to nodes over gateways, as far as this engine knows them.

The engine reaches every node directly (a gateway is the affair of ssh's ProxyJump). A topology file is found, read and
shown as ClusterShell does, so that scripts that load one go on; that its routes are not taken is said in a warning.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, ClassVar

from ClusterShell.Defaults import config_paths


class TopologyUser:
    """The topology of a Task: attribute `topology`, None without one; class attribute TOPOLOGY_CONFIGS, last wins."""

    TOPOLOGY_CONFIGS: ClassVar[list[str]] = config_paths("topology.conf")
    topology: Any

    def load_topology(self, topology_file: str) -> None:
        """Read a topology file and keep its tree in `topology`. Raises what ClusterShell's parser raises."""
        from ClusterShell.Topology import TopologyParser

        self.topology = TopologyParser(topology_file).tree(_this_host())

    def check_topology(self, tree: bool | None, auto_tree: bool) -> None:
        """Called for each command on nodes: `tree` as given to `shell`. Raises what ClusterShell's parser raises."""
        if tree is False or (tree is None and not auto_tree):
            return
        if self.topology is None:
            for path in reversed(self.TOPOLOGY_CONFIGS):
                if os.path.exists(path):
                    self.load_topology(path)
                    break
        if self.topology is not None:
            warnings.warn(
                "nodes are reached directly, not over the gateways of the topology: use ProxyJump in ~/.ssh/config",
                RuntimeWarning,
                stacklevel=4,
            )


def _this_host() -> str:
    return os.uname().nodename.partition(".")[0]
