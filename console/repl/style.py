"""Colours of the prompt: the terminal's own sixteen, so that light and dark terminals stay readable."""

from __future__ import annotations

from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.styles import BaseStyle, Style

#: What the parts of a line and of the prompt look like. Bold and underline say the same without colours.
_RULES = {
    "prompt.name": "bold",
    "prompt.nodes": "ansicyan",
    "prompt.count": "",
    "prompt.none": "ansiyellow",
    "prompt.running": "ansiyellow",
    "prompt.bad": "ansired",
    "prompt.recording": "ansired bold",
    "prompt.sign": "bold",
    "prompt.more": "ansibrightblack",
    "deck.command": "ansiblue bold",
    "deck.unknown": "ansired underline",
    "deck.option": "ansimagenta",
    "deck.nodes": "ansicyan",
    "deck.group": "ansicyan bold",
    "deck.value": "",
    "deck.sign": "ansiblue bold",
    "deck.comment": "ansibrightblack italic",
    "shell.command": "ansigreen",
    "shell.string": "ansiyellow",
    "shell.variable": "ansimagenta",
    "shell.operator": "bold",
    "auto-suggestion": "ansibrightblack",
    "bottom-toolbar": "noreverse ansibrightblack",
    "bottom-toolbar.text": "noreverse ansibrightblack",
    "toolbar.key": "noreverse bold",
    "toolbar.usage": "noreverse ansicyan",
    "completion-menu": "bg:ansigray fg:ansiblack",
    "completion-menu.completion": "bg:ansigray fg:ansiblack",
    "completion-menu.completion.current": "noreverse bg:ansiblue fg:ansiwhite bold",
    "completion-menu.meta.completion": "bg:ansigray fg:ansiblue",
    "completion-menu.meta.completion.current": "noreverse bg:ansiblue fg:ansiwhite",
    "completion-menu.multi-column-meta": "bg:ansigray fg:ansiblack",
    "scrollbar.background": "bg:ansigray",
    "scrollbar.button": "bg:ansibrightblack",
    "search": "bg:ansiyellow fg:ansiblack",
    "search.current": "bg:ansiyellow fg:ansiblack bold",
    "control-character": "ansired",
}
#: Without colours the selected row of the menu must still stand out.
_MONOCHROME = {
    "completion-menu": "noreverse",
    "completion-menu.completion": "noreverse",
    "completion-menu.completion.current": "reverse bold",
    "completion-menu.meta.completion": "noreverse",
    "completion-menu.meta.completion.current": "reverse",
    "search": "reverse",
    "search.current": "reverse bold",
}


def prompt_style(*, color: bool) -> BaseStyle:
    """The style of the prompt, its menu and its toolbar."""
    return Style.from_dict(_RULES if color else {**_RULES, **_MONOCHROME})


def color_depth(*, color: bool) -> ColorDepth:
    """Sixteen colours, or only bold and underline."""
    return ColorDepth.DEPTH_4_BIT if color else ColorDepth.DEPTH_1_BIT
