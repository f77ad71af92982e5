"""Settings: types, layers, sources, trust of files, and messages that name the remedy."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from clusterdeck.console.settings import config, paths
from clusterdeck.console.settings.config import PROJECT_FILE, load_settings, template, trust_project
from clusterdeck.console.settings.settings import Settings, SettingsError, setting_names
from clusterdeck.console.settings.trust import TrustError, read_trusted


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("CLUSTERDECK_SYSTEM_CONFIG", str(tmp_path / "system.toml"))
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return tmp_path


def user_file(text: str) -> Path:
    file = paths.user_config_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o600)
    return file


def load(**environment: str) -> Settings:
    return load_settings(environment=environment)


def test_defaults_have_sources_and_meanings() -> None:
    settings = load()
    rows = settings.explain()
    assert [row[0] for row in rows] == setting_names()
    assert all(source == "default" and meaning for _, _, source, meaning in rows)
    assert settings.run.worker == "paramiko"


def test_each_layer_wins_over_the_one_below(folders: Path) -> None:
    (folders / "system.toml").write_text(
        "[run]\nfanout = 1\nuser = 'sys'\nconnect_timeout = 1\ntimeout = 1\nsudo = true\n"
    )
    user_file("[run]\nfanout = 2\nuser = 'usr'\nconnect_timeout = 2\ntimeout = 2\n")
    project = Path(PROJECT_FILE)
    project.write_text("[run]\nfanout = 3\nuser = 'prj'\nconnect_timeout = 3\n")
    trust_project(project)
    environment = {"CLUSTERDECK_RUN_FANOUT": "4", "CLUSTERDECK_RUN_USER": "env"}
    settings = load_settings({"fanout": 5}, environment)
    assert (settings.run.fanout, settings.run.user) == (5, "env")
    assert (settings.run.connect_timeout, settings.run.timeout, settings.run.sudo) == (3.0, 2.0, True)
    assert settings.source("fanout") == "flag"
    assert settings.source("run.user") == "environment CLUSTERDECK_RUN_USER"
    assert settings.source("connect_timeout").endswith(PROJECT_FILE)
    assert settings.source("run.timeout").endswith("config.toml")
    assert settings.source("run.sudo").endswith("system.toml")


def test_a_project_file_counts_only_while_it_is_what_was_trusted() -> None:
    project = Path(PROJECT_FILE)
    project.write_text("[run]\nfanout = 3\n")
    notices: list[str] = []
    assert load_settings(environment={}, notices=notices).run.fanout == 64
    assert "config trust" in notices[0]
    trust_project(project)
    assert load().run.fanout == 3
    project.write_text("[run]\nfanout = 3000\n")
    assert load().run.fanout == 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[run]\nfanuot = 3\n", ["unknown setting 'run.fanuot'", "run.fanout", "line 2"]),
        ("[rum]\nfanout = 3\n", ["unknown section 'rum'", "'run'"]),
        ("[run]\nfanout = 'many'\n", ["run.fanout", "number"]),
        ("[run]\nfanout = 0\n", ["run.fanout", "at least 1"]),
        ("[run]\nfanout = true\n", ["run.fanout", "number"]),
        ("[run]\nsudo = 'maybe'\n", ["run.sudo", "true or false"]),
        ("[run]\nuser = 7\n", ["run.user", "text"]),
        ("[run]\nconnect_timeout = inf\n", ["finite"]),
        ("[ssh]\nhost_keys = 'yes'\n", ["ssh.host_keys", "ask, refuse, accept-new"]),
        ("run = 3\n", ["[run]"]),
        ("[[nodes]]\nuser = 'x'\n", ["match"]),
        ("[[nodes]]\nmatch = 'n1'\nusr = 'x'\n", ["nodes.usr", "'user'"]),
        ("[groups.sets]\nweb = 3\n", ["groups.sets"]),
        ("[run\n", ["config.toml"]),
    ],
)
def test_wrong_files_are_named_with_the_remedy(text: str, parts: list[str]) -> None:
    file = user_file(text)
    with pytest.raises(SettingsError) as caught:
        load()
    for part in [str(file), *parts]:
        assert part in str(caught.value)


def test_wrong_variables_are_named() -> None:
    with pytest.raises(SettingsError, match=r"CLUSTERDECK_RUN_FANUOT.*CLUSTERDECK_RUN_FANOUT"):
        load(CLUSTERDECK_RUN_FANUOT="3")
    with pytest.raises(SettingsError, match=r"CLUSTERDECK_RUN_FANOUT.*number"):
        load(CLUSTERDECK_RUN_FANOUT="x")


def test_sections_for_nodes_and_own_groups() -> None:
    user_file("[[nodes]]\nmatch = 'edge[1-9]'\nuser = 'admin'\nport = 2222\n[groups.sets]\nweb = 'w[1-3]'\n")
    settings = load()
    assert settings.nodes[0].match == "edge[1-9]"
    assert dict(settings.nodes[0].values) == {"user": "admin", "port": 2222}
    assert settings.group_sets == {"web": "w[1-3]"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("1MiB", 2**20), ("64k", 65536), ("3GB", 3 * 2**30), ("4096", 4096), (99999, 99999), ("2 MiB", 2**21)],
)
def test_sizes(text: object, value: int) -> None:
    settings = Settings()
    settings.set("limits.total_spool", text)
    assert settings.limits.total_spool == value


@pytest.mark.parametrize("text", ["1XB", "", "1.5k", "-1", "1kk", "b"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(SettingsError):
        Settings().set("limits.total_spool", text)


@pytest.mark.parametrize("name", ["run.fanout", "queue.slots", "safety.confirm_above", "records.history_size"])
@pytest.mark.parametrize("text", ["1m", "64k", "2 MiB", "1B"])
def test_a_count_has_no_unit(name: str, text: str) -> None:
    settings = Settings()
    with pytest.raises(SettingsError, match=rf"{name} cannot be '{text}': it is a count, which has no unit"):
        settings.set(name, text)
    settings.set(name, " 12 ")
    assert settings.get(name) == 12
    with pytest.raises(SettingsError, match="a number is needed"):
        settings.set(name, "many")


def test_short_names_must_be_clear() -> None:
    settings = Settings()
    settings.set("fanout", "7")
    assert settings.get("run.fanout") == 7
    assert settings.source("fanout") == "session"
    with pytest.raises(SettingsError, match=r"did you mean 'run.fanout'"):
        settings.set("fanot", 1)


def test_the_template_is_read_back_as_the_defaults() -> None:
    text = re.sub(r"^# (?=[a-z_]+ = )", "", template(), flags=re.MULTILINE)
    head = text.split("# Own groups")[0]
    user_file(head)
    settings = load()
    assert [row[:2] for row in settings.explain()] == [row[:2] for row in Settings().explain()]


# -- files that must not be believed


def test_a_file_that_others_may_write_is_refused(folders: Path) -> None:
    file = user_file("[run]\nfanout = 2\n")
    file.chmod(0o666)
    with pytest.raises(SettingsError, match=r"not trusted.*chmod go-w"):
        load()


def test_a_file_below_a_folder_that_others_may_write_is_refused(folders: Path) -> None:
    file = user_file("[run]\nfanout = 2\n")
    file.parent.chmod(0o777)
    with pytest.raises(TrustError, match="not trusted"):
        read_trusted(file)


def test_a_link_is_judged_by_what_it_leads_to(folders: Path) -> None:
    shared = folders / "shared"
    shared.mkdir()
    target = shared / "real.toml"
    target.write_text("[run]\nfanout = 2\n")
    shared.chmod(0o777)
    link = paths.user_config_file()
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    with pytest.raises(TrustError, match="not trusted"):
        read_trusted(link)


def test_what_is_no_text_file_is_refused(folders: Path) -> None:
    pipe = folders / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(TrustError, match="regular"):
        read_trusted(pipe)
    big = folders / "big"
    big.write_bytes(b"x" * (4 * 1024 * 1024 + 1))
    with pytest.raises(TrustError, match="larger"):
        read_trusted(big)
    binary = folders / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TrustError, match="UTF-8"):
        read_trusted(binary)


def test_the_state_folder_is_private(folders: Path) -> None:
    folder = paths.state_dir()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert paths.state_dir().stat().st_mode & 0o777 == 0o700
    os.close(paths.private_file(folder / "secret", os.O_WRONLY))
    assert (folder / "secret").stat().st_mode & 0o777 == 0o600
    (folder / "link").symlink_to(folder / "secret")
    with pytest.raises(OSError, match="symbolic"):
        paths.private_file(folder / "link", os.O_WRONLY)


def test_trusting_a_file_that_others_may_write_is_refused() -> None:
    project = Path(PROJECT_FILE)
    project.write_text("")
    project.chmod(0o666)
    with pytest.raises(TrustError):
        trust_project(project)
    assert not config._is_trusted(project)


#: What is wrong with a file, and what its one line must say.
BROKEN = {
    "unknown key": (b"[run]\nfanuot = 3\n", "did you mean 'run.fanout'? (line 2)"),
    "unknown section": (b"\n[rum]\nfanout = 3\n", "did you mean 'run'? (line 2)"),
    "key without a section": (b"fanout = 3\n", "unknown section 'fanout' (line 1)"),
    "section that is a number": (b"run = 3\n", "write [run] (line 1)"),
    "text for a number": (b'[run]\nfanout = "many"\n', "a number is needed (line 2)"),
    "truth for a number": (b"[run]\nfanout = true\n", "a number is needed (line 2)"),
    "number for a text": (b"[run]\nuser = 3\n", "a text in quotes is needed (line 2)"),
    "list for a number": (b"[run]\nfanout = [3]\n", "a number is needed (line 2)"),
    "date for a number": (b"[run]\ntimeout = 2024-01-01\n", "2024-01-01: a number is needed (line 2)"),
    "too low": (b"[run]\nfanout = 0\n", "at least 1 is needed (line 2)"),
    "too large": (b"[run]\nfanout = 99999999999999999999\n", "too large"),
    "no number": (b"[run]\ntimeout = nan\n", "a finite number is needed (line 2)"),
    "no size": (b'[limits]\nrun_memory = "10 XB"\n', "a number is needed (line 2)"),
    "no such choice": (b'[ssh]\nhost_keys = "sure"\n', "use ask, refuse, accept-new (line 2)"),
    "key twice": (b"[run]\nfanout = 3\nfanout = 4\n", "line 3"),
    "section twice": (b"[run]\nfanout = 3\n[run]\ntimeout = 4\n", "line 3"),
    "no quotes": (b"[run]\nuser = bob\n", "line 2"),
    "quote left open": (b'[run]\nuser = "bob\n', "line 2"),
    "bracket left open": (b"[run\nfanout = 3\n", "line 1"),
    "too deep": (b"[run]\nuser = " + b"[" * 5000, "deep"),
    "not text": (b'[run]\nuser = "b\xf6b"\n', "not UTF-8"),
    "control characters": (b'[run]\n"fan\\u001b[31mout" = 3\n', "unknown setting"),
    "nodes as a table": (b'[nodes]\nmatch = "n1"\n', "write [[nodes]]"),
    "nodes without a match": (b'[[nodes]]\nuser = "x"\n', 'needs match = "NODES"'),
    "unknown key of nodes": (b'[[nodes]]\nmatch = "n1"\nusr = "x"\n', "did you mean 'user'? (line 3)"),
    "wrong value of nodes": (b'[[nodes]]\nmatch = "n1"\nport = "x"\n', "a number is needed (line 3)"),
    "groups as a list": (b'[groups.sets]\nweb = ["a"]\n', "table of texts"),
    "far too large": (b"#" * 5_000_000, "larger than"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_clear_line(name: str) -> None:
    content, wanted = BROKEN[name]
    file = user_file("")
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load()
    text = str(caught.value)
    assert wanted in text
    assert str(file) in text
    assert "\n" not in text
    assert len(text) < 400


def test_a_link_that_leads_to_itself_is_told(folders: Path) -> None:
    file = user_file("")
    file.unlink()
    file.symlink_to(file)
    with pytest.raises((SettingsError, OSError)) as caught:
        load()
    assert str(file) in str(caught.value)


def test_marks_of_other_editors_do_no_harm() -> None:
    user_file("\ufeff[run]\r\nfanout = 3\r\n")
    assert load().run.fanout == 3


def test_clush_conf_lies_below_everything_else(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = folders / "clush.conf"
    conf.write_text(
        "[Main]\nfanout: 7\nconnect_timeout: 3\nssh_user: bob\nmaxrc: yes\nnode_count: no\nverbosity: 0\n"
        "ssh_options: -oPort=%%h\nfd_max: 3\nnosuchkey: x\nconfdir: $CFGDIR/more\n"
    )
    (folders / "more").mkdir()
    (folders / "more" / "a.conf").write_text("[mode:careful]\nfanout: 1\ncommand_prefix: nice\n")
    monkeypatch.setenv("CLUSTERDECK_CLUSH_CONF", str(conf))
    (folders / "system.toml").write_text("[run]\nuser = 'sys'\n")
    settings = load()
    assert (settings.run.fanout, settings.run.connect_timeout, settings.run.user) == (7, 3.0, "sys")
    assert (settings.batch.max_rc, settings.batch.node_count, settings.batch.verbosity) == (True, False, 0)
    assert settings.ssh.options == "-oPort=%h"
    assert settings.source("fanout") == f"{conf} (clush)"
    in_mode = load_settings({"timeout": 9}, {"CLUSTERDECK_RUN_FANOUT": "4"}, mode="careful")
    assert (in_mode.run.fanout, in_mode.batch.command_prefix, in_mode.run.timeout) == (1, "nice", 9.0)
    assert in_mode.source("fanout") == f"{folders / 'more' / 'a.conf'} (clush, mode careful)"
    with pytest.raises(SettingsError, match="did you mean 'careful'"):
        load_settings({}, {}, mode="carful")


@pytest.mark.parametrize(
    "content",
    [
        "[Main\n",
        "fanout: 3\n",
        "[Main]\nfanout: x\n",
        "[Main]\nfanout: 1\nfanout: 2\n",
        "[Main]\nssh_options: %h\n",
        "[Main]\nconfdir: 'x\n",
        "[Main]\ncolor: purple\n",
        "[Main]\nfanout\n",
    ],
)
def test_a_broken_clush_conf_is_one_clear_line(content: str, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = folders / "clush.conf"
    conf.write_text(content)
    monkeypatch.setenv("CLUSTERDECK_CLUSH_CONF", str(conf))
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(conf) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_clush_conf_that_others_may_change_is_refused(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = folders / "clush.conf"
    conf.write_text("[Main]\nssh_path: /tmp/mine\n")
    conf.chmod(0o666)
    monkeypatch.setenv("CLUSTERDECK_CLUSH_CONF", str(conf))
    with pytest.raises(SettingsError, match="not trusted"):
        load()
