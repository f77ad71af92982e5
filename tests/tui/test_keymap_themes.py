"""Keymaps and themes are data: what is wrong in them is told once and left out, never a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.styles import Style
from rich.color import Color as TerminalColor
from textual.binding import Binding
from textual.color import Color

from clusterdeck.console.tui import keymap
from clusterdeck.console.tui.theming import ThemeError, choose, load_themes, read_theme
from clusterdeck.tests.support.fake_run import FakeSession, mixed
from clusterdeck.tests.support.tui import Deck, settled, until
from clusterdeck.widgets.actions import ACTIONS
from clusterdeck.widgets.look import Look, make_look
from clusterdeck.widgets.node_colours import contrast
from clusterdeck.widgets.prompt_style import themed


@pytest.mark.parametrize("preset", sorted(keymap.PRESETS))
def test_presets_have_no_conflicts(preset: str) -> None:
    loaded = keymap.load_keymap(preset)
    assert loaded.problems == ()
    assert set(loaded.keys) <= set(ACTIONS)


def test_own_keys_and_their_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(
        """[keys]
"pane.zoom" = "Z"
"pane.folow" = "F"
"row.search" = "ctrl+m"
"nodes.sort" = 3
"failures.retry" = ["x"]
"view.filter" = ["slash", "ctrl+e"]
""",
        "utf-8",
    )
    loaded = keymap.load_keymap("default", path)
    assert loaded.keys["pane.zoom"] == "Z"
    assert loaded.keys["view.filter"] == "slash,ctrl+e"
    assert "failures.retry" not in loaded.keys
    text = "\n".join(loaded.problems)
    assert "no action 'pane.folow', perhaps pane.follow" in text
    assert "a terminal sends Enter" in text
    assert "nodes.sort wants a key" in text
    assert "taken by failures.exclude" in text


@pytest.mark.parametrize("content", ["[keys", "keys = 3", "\x00", "[keys]\n'a b' = 'x'"])
def test_a_broken_keymap_file_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(content, "utf-8")
    assert keymap.load_keymap("vi", path).problems
    assert keymap.load_keymap("vi", path).keys["row.down"] == "down,j"


def test_an_unknown_preset_is_told() -> None:
    assert "there is no keymap 'none'; using default" in keymap.load_keymap("none").problems[0]


def test_default_keys_do_not_meet() -> None:
    keys = {identifier: action.key for identifier, action in ACTIONS.items()}
    on_purpose = {"o", "s", "k", "x", "r", "c", "y", "Y", "space", "d", "m", "q", "v", "g", "p"}
    for action in keys:
        for other in keymap.conflicts_of(action, keys):
            shared = set(keys[action].split(",")) & set(keys[other].split(","))
            assert shared <= on_purpose, (action, other, shared)


async def test_a_preset_works_on_the_screen() -> None:
    session = FakeSession()
    session.settings.screen.keymap = "vi"
    deck = Deck(session)
    mixed(deck.session)
    async with deck.app.run_test(size=(140, 40)) as pilot:
        await settled(deck, pilot)
        deck.app.main.nodes.set_order("given")
        deck.app.main.nodes.move_cursor(0)
        await pilot.press("ctrl+o", "0", "j", "j")
        assert deck.app.main.nodes.cursor_row == 2
        await pilot.press("k")
        assert deck.app.main.nodes.cursor_row == 1
        await pilot.press("G")
        assert deck.app.main.nodes.cursor_row == 23
    deck.session.close()


async def test_every_binding_has_an_id_and_a_help() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(140, 40)) as pilot:
        await settled(deck, pilot)
        main = deck.app.main
        for view in ("panes", "gathered", "failures", "queue", "runs", "log", "diff", "plot"):
            main.open_view(view, focus=True)
            await pilot.pause()
            for active in main.active_bindings.values():
                binding: Binding = active.binding
                if type(active.node).__module__.startswith("clusterdeck.widgets"):
                    own = [b for b in type(active.node).BINDINGS if isinstance(b, Binding)]
                    if any(binding.action == b.action for b in own):
                        assert binding.id in ACTIONS, binding
                        assert binding.tooltip, binding
    deck.session.close()


# -- themes


def test_packaged_themes_are_sound() -> None:
    loaded = load_themes()
    assert loaded.problems == ()
    assert list(loaded.themes) == ["dark", "light", "high-contrast", "sixteen", "monochrome"]


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast"])
def test_text_can_be_read(name: str) -> None:
    theme = load_themes().themes[name]
    variables = theme.to_color_system().generate() | theme.variables
    look = make_look(variables)
    background = look.background
    for role in ("text", "quiet", "title", "accent", "stderr", "warn", "ok", "failed", "timeout", "unreachable", "lost",
                 "running", "connecting", "aborted", "added", "removed", "key", "changed"):  # fmt: skip
        colour = look[role].color
        assert colour is not None
        ratio = contrast(background, Color.from_rich_color(colour))
        assert ratio >= (7.0 if name == "high-contrast" else 4.5), (role, ratio)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[colours", "Expected"),
        ("[colours]", "primary is missing"),
        ("[colours]\nprimary = 'nonsense'", "is no colour"),
        ("[colours]\nprimary = 3", "must be a colour in quotes"),
        ("[colours]\nprimary = 'red'\npurple = 'red'", "unknown colours.purple"),
        ("[colours]\nprimary = 'red'\n[roles]\nnope = 'red'", "unknown roles.nope"),
        ("[colours]\nprimary = 'red'\n[styles]\nok = 'blink'", "must be words of"),
        ("dark = 1\n[colours]\nprimary = 'red'", "dark must be true or false"),
        ("css = '* {}'\n[colours]\nprimary = 'red'", "unknown key 'css'"),
        ("colours = 3", "must be a table"),
    ],
)
def test_what_is_wrong_in_a_theme_is_told(text: str, told: str) -> None:
    with pytest.raises(ThemeError, match=told):
        read_theme("own", text)


def test_own_themes_beside_broken_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[colours]\nprimary = 'red'\n")
    (tmp_path / "dark.toml").write_text("[colours]\nprimary = 'nonsense'\n")
    (tmp_path / "big.toml").write_text("#" * 100_000)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    loaded = load_themes(tmp_path)
    assert "mine" in loaded.themes
    assert len(loaded.problems) == 3
    assert any("dark.toml" in problem and "packaged theme" in problem for problem in loaded.problems)


def test_choose() -> None:
    assert choose("", ["dark"], colour=True) == ("dark", "")
    assert choose("light", ["dark", "light"], colour=True) == ("light", "")
    assert choose("light", ["dark", "light", "monochrome"], colour=False) == ("monochrome", "")
    name, problem = choose("x", ["dark"], colour=True)
    assert name == "dark"
    assert "there is no theme 'x'; using dark" in problem


async def test_a_wrong_theme_is_one_notification_and_the_console_goes_on() -> None:
    deck = Deck()
    deck.session.settings.screen.theme = "no-such"
    async with deck.app.run_test(size=(100, 30), notifications=True) as pilot:
        await settled(deck, pilot)
        assert deck.app.theme == "dark"
        assert [n.message for n in deck.app._notifications if "no-such" in n.message]
        await pilot.press("f9")
        assert deck.app.theme == "light"
    deck.session.close()


def colours_on(deck: Deck) -> list[TerminalColor]:
    """Every colour of every piece of the screen."""
    styles = [segment.style for strip in deck.strips() for segment in strip if segment.style is not None]
    return [colour for style in styles for colour in (style.color, style.bgcolor) if colour is not None]


async def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    deck = Deck()
    mixed(deck.session)
    async with deck.app.run_test(size=(100, 30)) as pilot:
        await settled(deck, pilot)
        assert deck.app.theme == "monochrome"
        deck.app.main.open_view("failures", focus=True)
        await settled(deck, pilot)
        assert all(colour.is_default for colour in colours_on(deck))
    deck.session.close()


async def test_sixteen_colours_are_the_terminals_own() -> None:
    deck = Deck()
    deck.session.settings.screen.theme = "sixteen"
    mixed(deck.session)
    async with deck.app.run_test(size=(100, 30)) as pilot:
        await settled(deck, pilot)
        deck.app.main.open_view("failures", focus=True)
        await settled(deck, pilot)
        assert all(colour.is_default or colour.number is not None for colour in colours_on(deck))
    deck.session.close()


# -- the prompt's colours


def _look(name: str) -> Look:
    theme = load_themes().themes[name]
    return make_look(theme.to_color_system().generate() | theme.variables)


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast"])
def test_the_completion_menu_can_be_read(name: str) -> None:
    style, page = themed(None, _look(name)), _look(name).background
    menu = [f"completion-menu.{part}" for part in ("completion", "completion.current", "meta.completion")]
    for classes in (*menu, "completion-menu.meta.completion.current", "auto-suggestion", "deck.comment"):
        attrs = style.get_attrs_for_style_str(f"class:{classes}")
        behind = Color.parse(f"#{attrs.bgcolor}") if attrs.bgcolor else page
        assert contrast(Color.parse(f"#{attrs.color}"), behind) >= 4.5, classes


def test_the_prompt_has_no_colour_where_the_theme_has_none() -> None:
    base = Style.from_dict({"prompt.nodes": "ansicyan", "completion-menu.completion.current": "bg:ansiblue"})
    style = themed(base, _look("monochrome"))
    for classes in ("prompt.nodes", "prompt.bad", "deck.unknown", "completion-menu.completion.current", "search"):
        attrs = style.get_attrs_for_style_str(f"class:{classes}")
        assert not attrs.color
        assert not attrs.bgcolor
    assert style.get_attrs_for_style_str("class:completion-menu.completion.current").reverse


async def test_the_prompt_follows_the_theme() -> None:
    deck = Deck()
    deck.app._make_prompt = lambda keys, output: PromptSession(
        [("class:prompt.nodes", "nodes> ")], input=keys, output=output, reserve_space_for_menu=0
    )

    def colours() -> set[str]:
        pieces = [piece for strip in deck.strips() for piece in strip if piece.text.startswith("nodes>")]
        found = [piece.style.color for piece in pieces if piece.style is not None]
        return {colour.name for colour in found if colour is not None}

    async with deck.app.run_test(size=(100, 30)) as pilot:
        await settled(deck, pilot)
        await until(pilot, lambda: colours() == {"#56d4dd"}, lambda: str(colours()))
        deck.app.theme = "light"
        await until(pilot, lambda: colours() == {"#0b6e77"}, lambda: str(colours()))
    deck.session.close()
