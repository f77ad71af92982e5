"""The man page and the shell completions of the `clusterdeck` command, made from its own argument parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from ..exits import ExitCode
from ..language.registry import Registry
from ..settings.sections import SECTIONS
from ..settings.settings import setting_names
from .reference import command_help

PROGRAMS = ("clusterdeck", "cdeck")


@dataclass(frozen=True, slots=True)
class Flag:
    """An option of the command line. value: what follows it ("" for none); kind decides how it is completed."""

    names: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...]

    @property
    def kind(self) -> str:
        """`choices`, `nodes`, `group`, `file`, `folder`, `worker`, `user` or `` (nothing is known)."""
        if self.choices:
            return "choices"
        known = {"NODES": "nodes", "GROUP": "group", "FILE": "file", "PATH": "file", "DIR": "folder", "USER": "user"}
        return "worker" if self.value == "WORKER" else known.get(self.value, "")


@dataclass(frozen=True, slots=True)
class Program:
    """A command line: its name, its options, what else it takes, its sub-commands."""

    name: str
    help: str
    flags: tuple[Flag, ...]
    words: tuple[str, ...]
    choices: tuple[str, ...]
    epilog: str
    commands: tuple[Program, ...] = ()


def read_program(parser: argparse.ArgumentParser, name: str, help_text: str = "") -> Program:
    """What a parser knows."""
    flags: list[Flag] = []
    words: list[str] = []
    allowed: list[str] = []
    commands: tuple[Program, ...] = ()
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            commands = tuple(read_program(sub, word, texts.get(word, "")) for word, sub in action.choices.items())
        elif action.option_strings:
            value = "" if action.nargs == 0 else str(action.metavar or action.dest).upper()
            choices = tuple(map(str, action.choices or ()))
            flags.append(Flag(tuple(action.option_strings), value, _text(action.help), choices))
        else:
            words.append(str(action.metavar or action.dest).upper())
            allowed += map(str, action.choices or ())
    epilog = parser.epilog or ""
    return Program(
        name, help_text or parser.description or "", tuple(flags), tuple(words), tuple(allowed), epilog, commands
    )


def _text(text: str | None) -> str:
    return "" if text is None else text.replace("%%", "%")


# -- the manual page


def _roff(text: str) -> str:
    """Text for roff: nothing in it is a command, a hyphen is a hyphen."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in escaped.split("\n"))


def man_page(program: Program, registry: Registry, version: str) -> str:
    """`clusterdeck.1`."""
    return "\n".join(_man_lines(program, registry, version)) + "\n"


def _man_lines(program: Program, registry: Registry, version: str) -> Iterator[str]:
    yield f'.TH CLUSTERDECK 1 "" "clusterdeck {version}" "User Commands"'
    yield ".SH NAME"
    yield "clusterdeck, cdeck \\- a live console for clusters"
    yield ".SH SYNOPSIS"
    yield "\\fBclusterdeck\\fR [OPTIONS]"
    for command in program.commands:
        yield ".br"
        words = _roff(" ".join(command.words))
        yield f"\\fBclusterdeck {_roff(command.name)}\\fR [OPTIONS] {words}".rstrip()
    yield ".SH DESCRIPTION"
    yield _roff(program.help)
    yield "Without a command, the full\\-screen console opens; it needs a terminal."
    yield ".SH OPTIONS"
    yield from _man_flags(program)
    yield ".SH COMMANDS"
    for command in program.commands:
        yield f".SS clusterdeck {_roff(command.name)}"
        yield _roff(command.help)
        yield from _man_flags(command)
        if command.epilog:
            yield ".PP"
            yield ".nf"
            yield _roff(command.epilog.rstrip())
            yield ".fi"
    yield ".SH THE COMMAND LANGUAGE"
    yield "A line that does not begin with a colon runs on the selected nodes, byte for byte."
    for spec in registry:
        if not spec.hidden:
            yield f".SS :{_roff(spec.word)}"
            yield ".nf"
            yield from (_roff(line) for line in list(command_help(spec))[2:])
            yield ".fi"
    yield ".SH EXIT STATUS"
    for code in ExitCode:
        yield ".TP"
        yield f"\\fB{code.value}\\fR"
        yield _roff(code.describe())
    yield ".SH FILES"
    for place, text in (
        ("~/.config/clusterdeck/config.toml", "settings; see clusterdeck config explain"),
        ("~/.config/clusterdeck/macros/", "macros"),
        ("~/.local/state/clusterdeck/", "history, audit log, runs"),
    ):
        yield ".TP"
        yield f"\\fI{_roff(place)}\\fR"
        yield _roff(text)
    yield ".SH SEE ALSO"
    yield "\\fBclush\\fR(1), \\fBpdsh\\fR(1), \\fBssh\\fR(1), \\fBssh_config\\fR(5)"


def _man_flags(program: Program) -> Iterator[str]:
    for flag in program.flags:
        yield ".TP"
        value = f" \\fI{_roff(flag.value)}\\fR" if flag.value else ""
        yield ", ".join(f"\\fB{_roff(name)}\\fR" for name in flag.names) + value
        yield _roff(flag.help) or "\\&"


# -- shells


def _names(command: Program) -> list[str]:
    """What the words of a command may be called, beside its choices: examples of macros, settings."""
    if command.name == "play":
        files = resources.files("clusterdeck.console.examples").iterdir()
        return sorted(file.name.removesuffix(".deck") for file in files if file.name.endswith(".deck"))
    return [*SECTIONS, *setting_names()] if command.name == "config" else []


def completion(shell: str, program: Program) -> str:
    """The completion script for `bash`, `zsh` or `fish`. Raises KeyError for any other shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](program)


def _bash(program: Program) -> str:
    lines = [
        "# bash completion for clusterdeck; made from its argument parser.",
        "_clusterdeck() {",
        "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= word",
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        f"        case $word in {'|'.join(command.name for command in program.commands)}) command=$word; break ;; esac",
        "    done",
        "    COMPREPLY=()",
        "    case $command:$previous in",
    ]
    for name, part in [("", program), *((command.name, command) for command in program.commands)]:
        for flag in part.flags:
            action = _bash_action(flag)
            if action:
                patterns = "|".join(f"{name}:{word}" for word in flag.names)
                lines.append(f"        {patterns}) {action}; return ;;")
    lines += ["    esac", "    case $command in"]
    for command in program.commands:
        words = " ".join([*(n for flag in command.flags for n in flag.names), *command.choices, *_names(command)])
        lines.append(f"        {command.name}) COMPREPLY=($(compgen -W '{words}' -- \"$current\")) ;;")
    words = " ".join([*(command.name for command in program.commands), *(n for f in program.flags for n in f.names)])
    lines += [
        f"        *) COMPREPLY=($(compgen -W '{words}' -- \"$current\")) ;;",
        "    esac",
        "    case $command in",
        '        run) [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -A command -A file -- "$current")) ;;',
        '        play) [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$current")) ;;',
        "    esac",
        "}",
        f"complete -o filenames -F _clusterdeck {' '.join(PROGRAMS)}",
    ]
    return "\n".join(lines) + "\n"


def _bash_action(flag: Flag) -> str:
    actions = {
        "choices": f"COMPREPLY=($(compgen -W '{' '.join(flag.choices)}' -- \"$current\"))",
        "nodes": 'COMPREPLY=($(compgen -A hostname -- "$current"))',
        "group": 'COMPREPLY=($(compgen -W "$(nodeset -lq 2>/dev/null | sed \'s/^@//\')" -- "$current"))',
        "file": 'COMPREPLY=($(compgen -f -- "$current"))',
        "folder": 'COMPREPLY=($(compgen -d -- "$current"))',
        "user": 'COMPREPLY=($(compgen -u -- "$current"))',
        "worker": "COMPREPLY=($(compgen -W 'paramiko ssh rsh pdsh exec' -- \"$current\"))",
    }
    if flag.kind in actions:
        return actions[flag.kind]
    return "return" if flag.value else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh(program: Program) -> str:
    lines = [f"#compdef {' '.join(PROGRAMS)}", "# zsh completion for clusterdeck; made from its argument parser.", ""]
    lines += ["_clusterdeck() {", "  local state line", "  typeset -A opt_args", "  _arguments -S -C -A '-*' \\"]
    lines += [f"    {spec} \\" for flag in program.flags for spec in _zsh_flag(flag)]
    lines += ["    '1: :->command' '*:: :->rest'", "  case $state in", "    command)", "      local -a commands=("]
    lines += [f"        {_quoted(f'{command.name}:{command.help}')}" for command in program.commands]
    lines += ["      )", "      _describe command commands ;;", "    rest)", "      case $line[1] in"]
    for command in program.commands:
        names = " ".join(_names(command))
        macros = f"'1:macro:_alternative \"names:macro:({names})\" \"files:file:_files -g \\*.deck\"' '*:parameter:'"
        rest = {"run": "'*:: :_normal'", "play": macros}.get(command.name, "")
        if command.choices:
            rest = f"'1: :({' '.join(command.choices)})' '*: :{f'({names})' if names else '_files'}'"
        specs = [spec for flag in command.flags for spec in _zsh_flag(flag)]
        arguments = " ".join([*specs, rest]).strip()
        lines.append(
            f"        {command.name}) _arguments -S {arguments} ;;" if arguments else f"        {command.name}) ;;"
        )
    # Found in $fpath, the file is the function's body; sourced, it only has to say what it completes.
    lines += ["      esac ;;", "  esac", "}", "", "if [[ $funcstack[1] == _clusterdeck ]]; then", '  _clusterdeck "$@"']
    lines += ["else", f"  compdef _clusterdeck {' '.join(PROGRAMS)}", "fi"]
    return "\n".join(lines) + "\n"


def _zsh_flag(flag: Flag) -> Iterator[str]:
    text = flag.help.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    actions = {
        "choices": f"({' '.join(flag.choices)})", "nodes": "_hosts", "file": "_files", "folder": "_files -/",
        "user": "_users", "worker": "(paramiko ssh rsh pdsh exec)",
    }  # fmt: skip
    value = f":{flag.value.lower()}:{actions.get(flag.kind, '')}" if flag.value else ""
    for name in flag.names:
        yield _quoted(f"*{name}[{text}]{value}")


def _fish(program: Program) -> str:
    lines = ["# fish completion for clusterdeck; made from its argument parser."]
    names = " ".join(command.name for command in program.commands)
    for word in PROGRAMS:
        lines.append(f"complete -c {word} -f")
        for flag in program.flags:
            lines.append(f"complete -c {word} -n 'not __fish_seen_subcommand_from {names}' {_fish_flag(flag)}")
        for command in program.commands:
            lines.append(f"complete -c {word} -n __fish_use_subcommand -a {command.name} -d {_fish_text(command.help)}")
            when = f"-n '__fish_seen_subcommand_from {command.name}'"
            lines += [f"complete -c {word} {when} {_fish_flag(flag)}" for flag in command.flags]
            words = " ".join([*command.choices, *_names(command)])
            if words:
                lines.append(f"complete -c {word} {when} -a {_fish_text(words)}")
            if command.name in ("play", "run"):
                lines.append(f"complete -c {word} {when} -F")
            if command.name == "run":
                lines.append(f"complete -c {word} {when} -a '(__fish_complete_command)'")
    return "\n".join(lines) + "\n"


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_flag(flag: Flag) -> str:
    parts = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in flag.names]
    actions = {
        "choices": f"-x -a {_fish_text(' '.join(flag.choices))}", "nodes": "-x -a '(__fish_print_hostnames)'",
        "file": "-r -F", "folder": "-x -a '(__fish_complete_directories)'", "user": "-x -a '(__fish_complete_users)'",
        "worker": "-x -a 'paramiko ssh rsh pdsh exec'", "group": "-x",
    }  # fmt: skip
    if flag.value:
        parts.append(actions.get(flag.kind, "-x"))
    return " ".join([*parts, "-d", _fish_text(flag.help)])
