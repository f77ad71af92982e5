"""The prompt's colours, made from the theme in use: rules of prompt_toolkit for the prompt, its line and its menu.

What has no rule here keeps the style that the session was built with.
"""

from __future__ import annotations

from prompt_toolkit.styles import BaseStyle, Style, merge_styles
from rich.color import Color, ColorType
from rich.style import Style as TerminalStyle

from .look import Look

#: Class of prompt_toolkit -> role of the theme, and words laid over it. General classes stand before particular ones.
_RULES: dict[str, tuple[str, str]] = {
    "prompt.name": ("title", ""),
    "prompt.nodes": ("accent", ""),
    "prompt.count": ("text", ""),
    "prompt.none": ("warn", ""),
    "prompt.running": ("running", ""),
    "prompt.bad": ("failed", ""),
    "prompt.recording": ("failed", "bold"),
    "prompt.sign": ("text", "bold"),
    "prompt.more": ("quiet", ""),
    "deck.command": ("title", "bold"),
    "deck.unknown": ("failed", "underline"),
    "deck.option": ("lost", ""),
    "deck.nodes": ("accent", ""),
    "deck.group": ("accent", "bold"),
    "deck.value": ("text", ""),
    "deck.sign": ("title", "bold"),
    "deck.comment": ("quiet", "italic"),
    "shell.command": ("ok", ""),
    "shell.string": ("warn", ""),
    "shell.variable": ("lost", ""),
    "shell.operator": ("text", "bold"),
    "auto-suggestion": ("quiet", ""),
    "bottom-toolbar": ("quiet", ""),
    "bottom-toolbar.text": ("quiet", ""),
    "toolbar.key": ("key", ""),
    "toolbar.usage": ("accent", ""),
    "completion-menu": ("menu", ""),
    "completion-menu.completion": ("menu", ""),
    "completion-menu.completion.current": ("menu-current", ""),
    "completion-menu.meta.completion": ("menu-note", ""),
    "completion-menu.meta.completion.current": ("menu-current", ""),
    "completion-menu.multi-column-meta": ("menu-note", ""),
    "scrollbar.background": ("menu", ""),
    "scrollbar.button": ("menu-current", ""),
    "search": ("match", ""),
    "search.current": ("current-match", ""),
    "control-character": ("failed", ""),
}
_WORDS = ("bold", "dim", "italic", "underline", "reverse")


def themed(base: BaseStyle | None, look: Look) -> BaseStyle:
    """`base` with the theme's colours over it."""
    rules = {name: f"noinherit {_told(look[role], look)} {words}".strip() for name, (role, words) in _RULES.items()}
    style = Style.from_dict(rules)
    return style if base is None else merge_styles([base, style])


def _told(style: TerminalStyle, look: Look) -> str:
    """A style in prompt_toolkit's words; the view's own background is left open."""
    words = [word for word in _WORDS if getattr(style, word)]
    if (colour := _colour(style.color)) is not None:
        words.append(f"fg:{colour}")
    if style.bgcolor != look.text.bgcolor and (colour := _colour(style.bgcolor)) is not None:
        words.append(f"bg:{colour}")
    return " ".join(words)


#: The terminal's sixteen by number, as prompt_toolkit calls them.
_NAMES = (
    *("ansiblack", "ansired", "ansigreen", "ansiyellow", "ansiblue", "ansimagenta", "ansicyan", "ansigray"),
    *("ansibrightblack", "ansibrightred", "ansibrightgreen", "ansibrightyellow", "ansibrightblue"),
    *("ansibrightmagenta", "ansibrightcyan", "ansiwhite"),
)


def _colour(colour: Color | None) -> str | None:
    if colour is None or colour.is_default:
        return None
    if colour.type is ColorType.STANDARD and colour.number is not None:
        return _NAMES[colour.number]
    return colour.get_truecolor().hex
