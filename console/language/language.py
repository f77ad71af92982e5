"""The command language: a text line to a Command, and back.

A bare line is a shell command on the current selection, kept byte for byte. `:` begins a console command, `!` a
local one, `@` runs on (or selects) a node set, `+ - &` change the selection; `?`, `=` and `quit` are as in clush.
Nothing here knows of nodes, sessions or screens: a line that parses may still be refused when it is executed.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection

from .registry import Registry
from .spec import Argument, Command, CommandSpec, Option, Pairs
from .tokens import BLANKS, LanguageError, Token, quote, skip_blanks, token_at

__all__ = ["SHELL", "Command", "LanguageError", "check_values", "is_bare", "parse", "placeholder_in", "render"]

SHELL = "run.shell"
LOCAL = "run.local"
NOTE = "session.note"
SELECT = "nodes.select"
SHOW = "nodes.show"

#: Whole lines with a meaning of their own; as with clush, `Quit` leaves too.
_WHOLE_LINES = {"=": "view.output", "quit": "session.quit", "exit": "session.quit"}
#: First characters that change the selection.
_CHANGES = {"+": "nodes.add", "-": "nodes.remove", "&": "nodes.keep"}


def is_bare(line: str) -> bool:
    """Whether the line, as it is, goes to the remote shell."""
    text = line.strip(BLANKS)
    if not text or text.lower() in _WHOLE_LINES or _is_note(text):
        return False
    return text[0] not in ":!@?" and text[0] not in _CHANGES


def _is_note(text: str) -> bool:
    # A comment that further lines follow is the head of a pasted script, which is the shell's.
    return text.startswith("#") and "\n" not in text and text == text.strip(BLANKS)


def _shown(word: str) -> str:
    return word if word.isprintable() else ascii(word)


def parse(line: str, registry: Registry, placeholders: Collection[str] = ()) -> Command:
    """What the line says. placeholders: parameter names that are filled in later (`{name}`), not checked now.

    Raises LanguageError with the column of the first thing that is wrong.
    """
    nul = line.find("\0")
    if nul >= 0:
        raise LanguageError("a NUL character cannot be part of a command", nul, "remove it")
    start = skip_blanks(line, 0)
    text = line.strip(BLANKS)
    if is_bare(line):
        return Command(registry.by_id(SHELL), (), (("command", line),), line, {"command": start})
    if not text or text[0] == "#":
        return Command(registry.by_id(NOTE), (), (("text", text),) if text else (), line)
    if text.lower() in _WHOLE_LINES:
        return Command(registry.by_id(_WHOLE_LINES[text.lower()]), (), (), line)
    if text[0] == "?":  # whatever follows, as with clush
        return Command(registry.by_id(SHOW), (), (), line)
    if text[0] == ":":
        command = _Parser(line, registry, placeholders).parse(start + 1)
    elif text[0] == "!":
        command = _local(line, start + 1, registry)
    elif text[0] == "@":
        command = _on_nodes(line, start, registry)
    else:
        command = _selection(line, start, registry)
    check_values(command, placeholders)
    return command


def _local(line: str, position: int, registry: Registry) -> Command:
    begin = skip_blanks(line, position)
    if begin >= len(line):
        raise LanguageError("nothing to run on this host", position, "write !COMMAND")
    return Command(registry.by_id(LOCAL), (), (("command", line[begin:]),), line, {"command": begin})


def _on_nodes(line: str, start: int, registry: Registry) -> Command:
    token = token_at(line, start)
    assert token is not None
    if token.text == "@":
        return _named_apart(line, token.end, registry)
    begin = skip_blanks(line, token.end)
    if begin >= len(line):
        return Command(registry.by_id(SELECT), (), (("expression", token.text),), line, {"expression": start})
    places = {"nodes": start, "command": begin}
    return Command(registry.by_id(SHELL), (("nodes", token.text),), (("command", line[begin:]),), line, places)


def _named_apart(line: str, position: int, registry: Registry) -> Command:
    """`@ node3`: the node set stands apart from its sign."""
    named = token_at(line, position)
    if named is None or token_at(line, named.end) is not None:
        raise LanguageError("a group name is missing", position, "write @GROUP or @GROUP COMMAND")
    return Command(registry.by_id(SELECT), (), (("expression", named.text),), line, {"expression": named.start})


def _selection(line: str, start: int, registry: Registry) -> Command:
    sign = line[start]
    token = token_at(line, start + 1)
    if token is None:
        raise LanguageError(f"a node set is missing after {sign}", start + 1, f"write {sign}node[1-4] or {sign}@GROUP")
    if token.text.startswith("-"):
        raise LanguageError("node names do not begin with -", token.start, "console options belong after a :command")
    extra = token_at(line, token.end)
    if extra is not None:
        remedy = f"{sign}EXPR only changes the selection; to run on those nodes write :shell -w EXPR -- COMMAND"
        raise LanguageError("one node set is enough", extra.start, remedy)
    spec = registry.by_id(_CHANGES[sign])
    return Command(spec, (), (("expression", token.text),), line, {"expression": token.start})


class _Parser:
    """Reads one `:` command; holds the line, what was read so far and where."""

    def __init__(self, line: str, registry: Registry, placeholders: Collection[str]) -> None:
        self.line = line
        self.registry = registry
        self.placeholders = placeholders
        self.options: list[tuple[str, str]] = []
        self.places: dict[str, int] = {}
        self.words: list[Token] = []
        self.raw: str | None = None

    def parse(self, position: int) -> Command:
        spec, position = self._name(position)
        self._rest(spec, position)
        arguments = self._assign(spec)
        order = {option.name: place for place, option in enumerate(spec.options)}
        options = tuple(sorted(self.options, key=lambda pair: order[pair[0]]))
        return Command(spec, options, arguments, self.line, self.places)

    def _name(self, position: int) -> tuple[CommandSpec, int]:
        if position >= len(self.line) or self.line[position] in BLANKS:
            remedy = "write :help for the list; the shell's own : is :shell -- :"
            raise LanguageError("a command is missing after the colon", position, remedy)
        first = token_at(self.line, position)
        assert first is not None
        words = [first]
        second = token_at(self.line, first.end, open_end=True)
        if second is not None:
            words.append(second)
        found = self.registry.match([token.text for token in words])
        if found is None:
            nearest = self.registry.nearest(first.text)
            remedy = "did you mean " + " or ".join(f":{word}" for word in nearest) + "?" if nearest else "see :help"
            raise LanguageError(f"there is no command :{_shown(first.text)}", first.start, remedy)
        spec, used = found
        return spec, words[used - 1].end

    def _rest(self, spec: CommandSpec, position: int) -> None:
        """Options and words up to the end of the line or the raw part."""
        before_raw = len(spec.arguments) - 1 if spec.raw else -1
        only_words = False
        while True:
            if len(self.words) == before_raw and only_words:
                return self._take_raw(position + 1 if position < len(self.line) else position)
            begin = skip_blanks(self.line, position)
            word = self._plain_word(begin)
            is_option = not only_words and len(word) > 1 and word.startswith("-") and word != "--"
            if len(self.words) == before_raw and word != "--" and not is_option:
                return self._take_raw(begin)
            token = token_at(self.line, begin)
            if token is None:
                return None
            position = token.end
            if not only_words and token.text == "--":
                only_words = True
            elif is_option:
                position = self._option(spec, token)
            else:
                self.words.append(token)

    def _plain_word(self, begin: int) -> str:
        token = token_at(self.line, begin, open_end=True)
        return token.text if token else ""

    def _take_raw(self, begin: int) -> None:
        if begin < len(self.line):
            self.raw = self.line[begin:]
            self.places["raw"] = begin

    def _option(self, spec: CommandSpec, token: Token) -> int:
        """One option word and, where it takes one, its value; returns where the line goes on."""
        text = token.text
        if text.startswith("--"):
            flag, sign, value = text.partition("=")
            option = spec.by_flag(flag) or self._unknown(spec, flag, token)
            if not option.takes_value and sign:
                raise LanguageError(f"{flag} takes no value", token.start, f"write {flag} alone")
            return self._store(option, flag, token, value if sign else None)
        for place in range(1, len(text)):
            flag = "-" + text[place]
            option = spec.by_flag(flag) or self._unknown(spec, flag, token)
            if option.takes_value:
                return self._store(option, flag, token, text[place + 1 :] or None)
            self._store(option, flag, token, None)
        return token.end

    def _store(self, option: Option, flag: str, token: Token, value: str | None) -> int:
        end = token.end
        start = token.start
        if option.takes_value and value is None:
            following = token_at(self.line, token.end)
            if following is None or following.text == "--":
                remedy = f"write {flag} {option.metavar or option.name.upper()}"
                raise LanguageError(f"{flag} needs a value ({option.kind.value})", token.end, remedy)
            value, start, end = following.text, following.start, following.end
        if not option.repeat and any(name == option.name for name, _ in self.options):
            raise LanguageError(f"{flag} is given twice", token.start, "once is enough")
        self.options.append((option.name, value or ""))
        self.places.setdefault(option.name, start)
        return end

    def _unknown(self, spec: CommandSpec, flag: str, token: Token) -> Option:
        flags = [known for option in spec.options for known in option.flags]
        near = difflib.get_close_matches(flag, flags, n=2, cutoff=0.6) if len(flag) > 2 else []
        if flag in ("--help", "-h"):
            remedy = f"write :help {spec.word}"
        elif near:
            remedy = f"did you mean {' or '.join(near)}?"
        elif flags:
            remedy = f"it knows {', '.join(flags)}"
        else:
            remedy = "it has no options; -- ends options"
        raise LanguageError(f":{spec.word} has no option {_shown(flag)}", token.start, remedy)

    def _assign(self, spec: CommandSpec) -> Pairs:
        """Give the words to the arguments: one each, the rest to the one that repeats."""
        fixed = [argument for argument in spec.arguments if not argument.raw]
        words = self.words
        needed = sum(argument.required for argument in fixed)
        spare = len(words) - needed
        taken: list[tuple[str, str]] = []
        position = 0
        for argument in fixed:
            count = int(argument.required)
            if argument.repeat:
                later = sum(1 for other in fixed[fixed.index(argument) + 1 :] if not other.required)
                count += max(0, spare - later)
                spare -= max(0, spare - later)
            elif not argument.required and spare > 0:
                count, spare = 1, spare - 1
            for token in words[position : position + count]:
                taken.append((argument.name, token.text))
                self.places.setdefault(argument.name, token.start)
            position += count
            if argument.required and position > len(words):
                raise self._missing(spec, argument)
        if position < len(words):
            remedy = self._too_many(spec, words[position].text)
            raise LanguageError(f"{words[position].text!a} is one word too many", words[position].start, remedy)
        raw = spec.raw
        if raw is not None and self.raw is not None and self.raw.strip(BLANKS):
            taken.append((raw.name, self.raw))
            self.places[raw.name] = self.places["raw"]
        elif raw is not None and raw.required:
            raise self._missing(spec, raw)
        return tuple(taken)

    def _too_many(self, spec: CommandSpec, word: str) -> str:
        near = difflib.get_close_matches(word, spec.subwords, 1, 0.5)
        near = near or [known for known in spec.subwords if known.startswith(word)][:1]
        if near:
            return f"did you mean :{spec.word} {near[0]}?"
        return f"usage: {spec.brief}" + (f", or with {', '.join(spec.subwords)}" if spec.subwords else "")

    def _missing(self, spec: CommandSpec, argument: Argument) -> LanguageError:
        name = argument.name.replace("_", " ")
        article = "an" if name[0] in "aeio" else "a"
        return LanguageError(
            f":{spec.word} needs {article} {name}", len(self.line.rstrip(BLANKS)), f"usage: {spec.brief}"
        )


def placeholder_in(value: str, placeholders: Collection[str]) -> bool:
    """Whether a macro's parameter is still to be filled in somewhere in `value`."""
    return any(f"{{{name}}}" in value or f"{{{name}:raw}}" in value for name in placeholders)


def check_values(command: Command, placeholders: Collection[str] = ()) -> None:
    """Raises LanguageError for the first value that its kind does not allow; those with placeholders are left out."""
    for name, value in (*command.options, *command.arguments):
        part = command.spec.option(name) or command.spec.argument(name)
        if part is None or placeholder_in(value, placeholders):
            continue
        if isinstance(part, Option) and not part.takes_value:
            continue
        try:
            part.check(value)
        except ValueError as error:
            label = _written(part, command) if isinstance(part, Option) else part.name.replace("_", " ")
            raise LanguageError(f"{label}: {error}", command.place(name) or 0) from None


def _written(option: Option, command: Command) -> str:
    """An option by the name that the line has it under."""
    before = command.line[: command.place(option.name) or 0]
    return max(option.flags, key=lambda flag: (before.rfind(flag), len(flag)))


def render(command: Command) -> str:
    """A line that parses to an equal command: the bare form where it can be, else the `:` form."""
    spec = command.spec
    if spec.id == NOTE and (not command.has("text") or _is_note(command.get("text"))):
        return command.get("text")
    raw = spec.raw
    if spec.id == SHELL and not command.options and is_bare(command.get("command")):
        return command.get("command")
    parts = [f":{spec.word}"]
    for name, value in command.options:
        option = spec.option(name)
        assert option is not None
        parts.append(_render_option(option, value))
    words = [value for name, value in command.arguments if raw is None or name != raw.name]
    dashed = any(value.startswith("-") and len(value) > 1 for value in words)
    if dashed or (words and not command.options and words[0] in spec.subwords):
        parts.append("--")
        dashed = True
    parts += [quote(value) for value in words]
    if raw is not None and command.has(raw.name):
        if not dashed:
            parts.append("--")
        parts.append(command.get(raw.name))
    return " ".join(parts)


def _render_option(option: Option, value: str) -> str:
    flag = option.flags[0]
    if not option.takes_value:
        return flag
    if value in ("", "--"):
        # A separate empty word would be taken for "no value given", and `--` for the end of the options.
        long = next((name for name in option.flags if name.startswith("--")), None)
        if long is not None:
            return quote(f"{long}={value}")
    return f"{flag} {quote(value)}"
