"""Makes the pictures of the manual: the console itself, on the demo cluster, without a terminal.

`make picture`, or `python docs/make_picture.py`; writes docs/images/*.svg.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from textual.pilot import Pilot

from clusterdeck.console.democluster.cluster import DemoCluster
from clusterdeck.console.session.session import Session

_IMAGES = Path(__file__).with_name("images")
_SIZE = (118, 32)
_PATIENCE = 30.0

#: File name, and the lines that are typed before the picture is taken; each is waited for.
_PICTURES: dict[str, Sequence[str]] = {
    "console": ("systemctl is-active nginx", ":gather"),
    "panes": ('for i in 1 2 3; do echo "$(hostname) line $i"; done', ":view panes"),
    "failures": ("systemctl is-active nginx", ":failed"),
}


async def _until(pilot: Pilot[int], true: Callable[[], bool], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while not true():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(what)
        await pilot.pause(0.05)


def _ended(session: Session, count: int) -> bool:
    return len(list(session.runs)) > count and not session.runs.running


async def _take(cluster: DemoCluster, lines: Sequence[str]) -> str:
    from clusterdeck.console.settings.config import load_settings
    from clusterdeck.console.start import open_session
    from clusterdeck.console.tui.launch import make_app

    with open_session(load_settings(), cluster.nodes, interactive=True) as session:
        app = make_app(session)
        async with app.run_test(size=_SIZE) as pilot:
            await pilot.pause(0.5)
            for line in lines:
                count = len(list(session.runs))
                await pilot.press(*("space" if character == " " else character for character in line), "enter")
                if not line.startswith(":"):
                    await _until(pilot, partial(_ended, session, count), f"{line!r} did not end")
                await pilot.pause(0.5)
            picture = app.export_screenshot(title="clusterdeck")
            app.exit(0)
    return picture


def _without_fonts(svg: str) -> str:
    """The picture without the web fonts that it would fetch: a page must not call anybody."""
    return re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)


def main() -> None:
    """Make all pictures."""
    _IMAGES.mkdir(exist_ok=True)
    os.environ |= {"NO_COLOR": "", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}
    del os.environ["NO_COLOR"]
    with DemoCluster(24) as cluster:
        cluster.wait_ready()
        os.environ |= cluster.environment
        for name, lines in _PICTURES.items():
            (_IMAGES / f"{name}.svg").write_text(_without_fonts(asyncio.run(_take(cluster, lines))))


if __name__ == "__main__":
    main()
