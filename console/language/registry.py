"""The registry: every command of the console, found by id, by word, or by what was nearly typed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence

from .spec import CommandSpec


class Registry:
    """An ordered, fixed set of commands. Immutable after it is made, so any thread may read it."""

    def __init__(self, specs: Iterable[CommandSpec]) -> None:
        self._specs = tuple(specs)
        self._ids: dict[str, CommandSpec] = {}
        self._words: dict[str, CommandSpec] = {}
        for spec in self._specs:
            if spec.id in self._ids:
                raise ValueError(f"two commands have the id {spec.id}")
            self._ids[spec.id] = spec
            for word in (spec.word, *spec.aliases):
                if word in self._words:
                    raise ValueError(f"two commands are called :{word}")
                self._words[word] = spec
        self._check_subwords()

    def _check_subwords(self) -> None:
        """Two-word names must be known to the command of the first word, or `render` would write them ambiguously."""
        for word in self._words:
            first, _, second = word.partition(" ")
            owner = self._words.get(first)
            if second and owner is not None and second not in owner.subwords:
                raise ValueError(f":{first} does not list the sub-command {second!r}")

    def __iter__(self) -> Iterator[CommandSpec]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def by_id(self, command: str) -> CommandSpec:
        """The command with that id. Raises KeyError."""
        return self._ids[command]

    def find(self, words: str | Sequence[str]) -> CommandSpec | None:
        """The command of the first words of a line, the longest match first: ["timer", "cancel", "3"]."""
        found = self.match([words] if isinstance(words, str) else words)
        return found[0] if found else None

    def match(self, words: Sequence[str]) -> tuple[CommandSpec, int] | None:
        """The same, with the number of words that make up the command's name."""
        for length in (2, 1):
            if len(words) >= length:
                spec = self._words.get(" ".join(words[:length]))
                if spec is not None:
                    return spec, length
        if words and " " in words[0]:
            return self.match(words[0].split())
        return None

    def words(self, *, hidden: bool = False) -> list[str]:
        """All words that may follow the colon, aliases included, sorted."""
        return sorted(word for word, spec in self._words.items() if hidden or not spec.hidden)

    def nearest(self, word: str, count: int = 3) -> list[str]:
        """Words of commands most like `word`, best first, one for each command; empty where nothing comes near."""
        words = self.words()
        starting = [known for known in words if known.startswith(word)] if len(word) > 1 else []
        close = difflib.get_close_matches(word, words, n=count, cutoff=0.6)
        found: dict[CommandSpec, str] = {}
        for known in starting + close:
            found.setdefault(self._words[known], known)
        return list(found.values())[:count]

    def families(self) -> dict[str, list[CommandSpec]]:
        """Commands by noun, in the order of the registry, without hidden ones."""
        found: dict[str, list[CommandSpec]] = {}
        for spec in self._specs:
            if not spec.hidden:
                found.setdefault(spec.family, []).append(spec)
        return found
