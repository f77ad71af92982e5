"""The base of views that show what nodes said, in the nodes' own colours or without them."""

from __future__ import annotations

from .line_view import LineView
from .messages import Told
from .node_colours import node_colours, use_node_colours


class OutputView(LineView):
    """Rows of output."""

    def action_colours(self) -> None:
        """With or without the nodes' own colours, everywhere."""
        use_node_colours(not node_colours())
        self.screen.refresh()
        self.post_message(Told(f"The nodes' own colours are {'shown' if node_colours() else 'left out'}."))
