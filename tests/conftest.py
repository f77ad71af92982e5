"""Fixtures that every layer of tests may use; the machinery behind them is in tests/support."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from clusterdeck.console.democluster.cluster import DemoCluster
from clusterdeck.tests.support.leaks import no_leaks
from clusterdeck.tests.support.sshd import Sshd

# A deadline per example would judge the machine, not the program: two busy cores stop any test for a second.
settings.register_profile("clusterdeck", deadline=None)
settings.load_profile("clusterdeck")

# What a script starts in the background ignores Ctrl-C, and so would every program that the tests start and stop.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

#: Folders of this test process alone: no test reads or writes what belongs to the account that runs it.
_FOLDER = Path(tempfile.mkdtemp(prefix="clusterdeck-tests-"))
os.environ.update(
    {f"CLUSTERDECK_{kind}_DIR": str(_FOLDER / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")},
    CLUSTERDECK_SYSTEM_CONFIG=str(_FOLDER / "system.toml"),
    CLUSTERDECK_CLUSH_CONF="",
)


def pytest_unconfigure() -> None:
    """Take the folders away."""
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A real OpenSSH server, one per test process: node1..node64 through `ssh -F sshd.config`."""
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def make_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """Start extra servers: `make_sshd(MaxSessions="1")`; keywords are sshd_config's. All end with the test."""
    started: list[Sshd] = []

    def make(*, prefix: str = "node", **options: str) -> Sshd:
        folder = tmp_path / f"sshd{len(started)}"
        folder.mkdir()
        server = Sshd(folder, options, prefix=prefix)
        started.append(server)
        return server

    yield make
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def demo_cluster() -> Iterator[DemoCluster]:
    """The demo cluster with 12 nodes, demo10 to demo12 unreachable on purpose; one per test process."""
    with DemoCluster(12) as cluster:
        cluster.wait_ready()
        yield cluster


@pytest.fixture
def leak_check() -> Iterator[None]:
    """Fails a test that leaves threads, child processes or descriptors behind.

    Ask for it after (to the right of) session-wide servers, so that those count as having been there before.
    """
    with no_leaks():
        yield
