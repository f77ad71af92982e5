"""The prompt's history: its file, what stays out of it, and what is suggested from it."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from clusterdeck.console.repl.history import DeckHistory, DeckSuggest


def load(history: DeckHistory) -> list[str]:
    """Oldest first."""
    return list(reversed(list(history.load_history_strings())))


def test_lines_come_back_in_order_whatever_is_in_them(tmp_path: Path) -> None:
    file = tmp_path / "history"
    lines = ["uptime", "echo one\necho two", 'echo "日本語"', "printf '\\x1b'\x1b", "echo uptime"]
    history = DeckHistory(file, 100)
    for line in lines:
        history.append_string(line)
    assert load(DeckHistory(file, 100)) == lines
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_others_may_read_is_tightened(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.write_text('"old"\n')
    file.chmod(0o644)
    assert load(DeckHistory(file, 10)) == ["old"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text('"theirs"\n')
    (tmp_path / "history").symlink_to(target)
    told: list[str] = []
    history = DeckHistory(tmp_path / "history", 10, told.append)
    assert load(history) == []
    history.append_string("mine")
    assert target.read_text() == '"theirs"\n'
    assert len(told) == 1
    assert "history is not kept" in told[0]


@pytest.mark.parametrize(
    "line",
    [
        "mysql --password=canary -e x",
        "PASSWORD=canary ./deploy",
        "curl -u admin:canary http://x",
        "curl https://me:canary@host/",
        'curl -H "Authorization: Bearer canary"',
        "sshpass -p canary ssh n1",
        ":shell --sudo -- echo canary | passwd --stdin root",
    ],
)
def test_lines_with_secrets_stay_in_memory(tmp_path: Path, line: str) -> None:
    file = tmp_path / "history"
    history = DeckHistory(file, 100)
    history.append_string("echo before")
    history.append_string(line)
    assert "canary" not in file.read_text()
    assert history.get_strings()[-1] == line


def test_lines_that_begin_with_a_blank_are_forgotten(tmp_path: Path) -> None:
    history = DeckHistory(tmp_path / "history", 100)
    history.append_string(" secret")
    assert history.get_strings() == []
    assert not (tmp_path / "history").exists()


def test_each_line_is_kept_once_where_it_was_used_last(tmp_path: Path) -> None:
    history = DeckHistory(tmp_path / "history", 100)
    for line in ("a", "b", "a", "c", "b"):
        history.append_string(line)
    assert load(DeckHistory(tmp_path / "history", 100)) == ["a", "c", "b"]


def test_the_file_is_trimmed(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.write_text("".join(json.dumps(f"line {n}") + "\n" for n in range(1000)))
    assert load(DeckHistory(file, 100)) == [f"line {n}" for n in range(900, 1000)]
    assert len(file.read_text().splitlines()) == 100
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [".history.lock", "history"]


def test_a_broken_line_does_not_cost_the_others(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.write_bytes(b'"good"\n"cut sho\n\xff\xfe\n12\n"also good"\n')
    assert load(DeckHistory(file, 100)) == ["good", "also good"]


def test_no_history_is_written_where_none_is_wanted(tmp_path: Path) -> None:
    history = DeckHistory(tmp_path / "history", 0)
    history.append_string("line")
    assert history.get_strings() == ["line"]
    assert list(tmp_path.iterdir()) == []


def test_several_consoles_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "history"

    def write(console: int) -> None:
        history = DeckHistory(file, 10_000)
        for number in range(50):
            history.append_string(f"console {console} line {number}")
            if number % 10 == 0:
                load(DeckHistory(file, 40))  # trims while the others write

    threads = [threading.Thread(target=write, args=(console,)) for console in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = load(DeckHistory(file, 10_000))
    assert len(kept) >= 40
    assert all(line.startswith("console ") for line in kept)
    for console in range(4):
        numbers = [int(line.split()[-1]) for line in kept if line.startswith(f"console {console} ")]
        assert numbers == sorted(numbers)


def test_an_unwritable_folder_is_told_once(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        folder = tmp_path / "file"
        folder.write_text("")  # root may write anywhere, but not below a file
    else:
        folder = tmp_path / "folder"
        folder.mkdir(mode=0o500)
    told: list[str] = []
    history = DeckHistory(folder / "history", 100, told.append)
    history.append_string("one")
    history.append_string("two")
    assert history.get_strings() == ["one", "two"]
    assert len(told) == 1


def test_the_newest_line_that_begins_alike_is_suggested() -> None:
    history = DeckHistory(None, 100)
    for line in ("uptime -p", "uname -a", "uptime"):
        history.append_string(line)
    buffer = Buffer(history=history)

    def suggest(text: str, cursor: int | None = None) -> str | None:
        found = DeckSuggest().get_suggestion(buffer, Document(text, len(text) if cursor is None else cursor))
        return None if found is None else found.text

    assert suggest("up") == "time"
    assert suggest("uptime") == " -p"
    assert suggest("una") == "me -a"
    assert suggest("") is None
    assert suggest("xyz") is None
    assert suggest("up", 1) is None
