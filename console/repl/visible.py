"""What stands in the line but cannot be seen, or turns what is seen around, gets a mark: a paste may hold anything."""

from __future__ import annotations

from functools import lru_cache

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput

from ...engine.text import sanitize_text

_MARK = "\N{REPLACEMENT CHARACTER}"


class VisibleProcessor(Processor):
    """Shows a mark for every such character of the input line; the line itself keeps it, and the node gets it.

    One mark for one character, so that the cursor's place needs no translation. ASCII control characters are left to
    prompt_toolkit, which shows them as `^[`.
    """

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = transformation_input.fragments
        if all(fragment[1].isascii() for fragment in fragments):
            return Transformation(fragments)
        marked: StyleAndTextTuples = []
        for fragment in fragments:
            style, text = fragment[0], fragment[1]
            if text.isascii():
                marked.append(fragment)
            else:
                marked.extend((f"{style} class:control-character" if _hidden(c) else style, _shown(c)) for c in text)
        return Transformation(marked)


@lru_cache(1024)
def _hidden(character: str) -> bool:
    return not character.isascii() and sanitize_text(character) != character


def _shown(character: str) -> str:
    return _MARK if _hidden(character) else character
