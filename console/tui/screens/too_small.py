"""What is shown instead of everything else while the terminal has no room for it."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

#: Columns and rows below which nothing can be read or typed safely.
LEAST = Size(30, 8)


def too_small(size: Size) -> bool:
    """Whether there is no room for the console."""
    return size.width < LEAST.width or size.height < LEAST.height


class TooSmallScreen(Screen[None]):
    """Says what is needed. Keys do nothing here but those that stop a run or leave."""

    def compose(self) -> ComposeResult:
        yield Static(_text(self.app.size), id="too-small", markup=False)

    async def on_key(self, event: events.Key) -> None:
        if event.key == "ctrl+c":
            event.stop()
            await self.app.run_action("interrupt")

    def on_screen_resume(self) -> None:
        # A question that was opened meanwhile, over this, has been answered.
        if not too_small(self.app.size):
            self.app.call_later(self._leave)

    def _leave(self) -> None:
        if self.is_current:
            self.app.pop_screen()

    def on_resize(self, event: events.Resize) -> None:
        self.query_one("#too-small", Static).update(_text(event.size))


def _text(size: Size) -> str:
    return f"{size.width}x{size.height} is too small:\n{LEAST.width}x{LEAST.height} at least.\nRuns go on."
