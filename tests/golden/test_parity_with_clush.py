"""The same command line, run by clush and by `clusterdeck run`: same exit code, same text.

Gathered text (`-b -B -L -bL --diff`) is compared byte for byte, live lines as a set (their order is up to the nodes).
stderr is compared as a set of lines, with the program's name replaced. Every difference that is meant is in
`test_differences_that_are_meant`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clusterdeck.tests.support.sshd import Sshd

CLUSH = shutil.which("clush", path=str(Path(sys.executable).parent)) or "clush"

#: (arguments, how stdout is compared: "exact" or "lines"; whether stderr is compared)
LINES: list[tuple[list[str], str, bool]] = [
    (["-w", "n[1-3]", "echo hi %h"], "lines", True),
    (["-w", "n[1-3]", "echo hi %h; echo err >&2; exit %n"], "lines", True),
    (["-w", "n[1-3]", "-b", "echo hi"], "exact", True),
    (["-w", "n[1-3]", "-b", "echo hi; echo err >&2; exit %n"], "exact", True),
    (["-w", "n[1-3]", "-B", "echo out; echo err >&2; echo out2"], "exact", True),
    (["-w", "n[1-3]", "-L", "echo b; echo a; exit %n"], "exact", True),
    (["-w", "n[1-12]", "-L", "echo x%h; echo y; exit $((%n%%3))"], "exact", True),
    (["-w", "n[1-5]", "-bL", "case %n in 1|2) echo b;echo c;; 3|4) echo b; echo x;; *) echo q; esac"], "exact", True),
    (["-w", "n[1-3]", "-BL", "echo hi %n; echo e >&2"], "lines", True),
    (["-w", "n[1-3]", "-N", "echo hi"], "lines", True),
    (["-w", "n[1-4]", "-bN", "echo x%n; echo y; exit $((%n%%2))"], "exact", True),
    (["-w", "n[1-4]", "-LN", "echo x; echo y"], "exact", True),
    (["-w", "n[1-4]", "-bLN", "echo x; echo y"], "exact", True),
    (["-w", "n[1-3]", "-S", "exit %n"], "lines", True),
    (["-w", "n[1-3]", "-bS", "exit 300"], "exact", True),
    (["-w", "n[1-3]", "-S", "kill -9 $$"], "lines", True),
    (["-w", "n[1-3]", "-qS", "echo e >&2; exit 3"], "lines", True),
    (["-w", "n[1-3]", "-q", "echo o; exit 3"], "lines", True),
    (["-w", "n[1-3]", "-b", "-q", "echo o; exit %n"], "exact", True),
    (["-w", "n[1-3]", "-b", "-v", "echo hi; exit %n"], "lines", True),
    (["-w", "n[1-6]", "-b", "echo x; case %n in 0|3) exit 2;; 1) exit 0;; 5) exit 7;; *) exit 1; esac"], "exact", True),
    (
        ["-w", "n[1-12]", "-b", "case %n in 1|2|3) echo b;; 4|5|6) echo a;; 7) echo z;; 8) echo c;; *) echo q; esac"],
        "exact",
        True,
    ),
    (["-w", "n[1-3]", "--diff", "echo hi; echo %n"], "exact", True),
    (["-w", "n[1-4]", "--diff", "echo hi; case %n in 3) echo x;; *) echo y; esac"], "exact", True),
    (["-w", "n[1-3]", "--diff", "echo same"], "exact", True),
    (["-w", "n[1-3]", "--diff", "true"], "exact", True),
    (["-w", "n[1-3]", "--diff", "test %n = 1 || echo x"], "exact", False),
    (["-w", "n[1-3]", "--diff", "-B", "echo o%n; echo e%n >&2"], "exact", True),
    (
        [
            "-w",
            "n[1-6]",
            "--diff",
            "case %n in 0) echo a; exit 1;; 1|2) echo b;; 3|4) echo c;; *) echo d; exit 3; esac",
        ],
        "exact",
        True,
    ),
    (["-w", "n[1-3]", "-u", "0.6", "-b", "echo hi; test %n = 0 || sleep 20"], "exact", True),
    (["-w", "n[1-3]", "-u", "0.6", "-L", "echo hi; test %n = 0 || sleep 20"], "exact", True),
    (["-w", "n[1-3]", "-u", "0.6", "-S", "echo hi; sleep 20"], "lines", True),
    (["-w", "n[1-3]", "-u", "0.6", "-bq", "-S", "test %n = 0 || sleep 20"], "exact", True),
    (["-w", "n[1-2]", "-w", "n[5-6]", "-x", "n2", "-b", "echo a"], "exact", True),
    (["-w", "n[1-9]!n3", "-b", "echo a"], "exact", True),
    (["-w", "n[1-9]&n[3-4]", "-b", "echo a"], "exact", True),
    (["-w", "foo1,bar[2-3]", "-b", "echo %h %host %n %%"], "exact", True),
    (["-w", "n[1-3]", "-b", "echo %hosts"], "exact", True),
    (["-w", "foo,bar,n[1-2]", "-b", "echo", "a", "b", " c"], "exact", True),
    (["-w", "foo", "-b", "--", "echo", "-n", "a"], "exact", True),
    (["-w", "foo", "-b", "echo", "-n", "a"], "exact", True),
    (["-w", "n[1-2]", "-b", 'printf "\\n\\n"'], "exact", True),
    (["-w", "n[1-2]", "-b", 'printf "a\\n\\nb"'], "exact", True),
    (["-w", "n[1-2]", "-b", 'printf "a\\r\\n\\tb \\303\\251\\n"'], "exact", True),
    (["-w", "n[1-3]", "-b", "-O", "node_count=no", "echo x; exit 2"], "exact", True),
    (["-w", "n[1-3]", "-b", "-O", "verbosity=0", "echo x"], "exact", True),
    (["-w", "n1", "-O", "maxrc=yes", "-O", "fanout=1", "exit 3"], "lines", True),
    (["-w", "n[1-3]", "-O", "command_timeout=0.5", "-b", "sleep 20"], "exact", True),
    (["-w", "n[1-3]", "--color=always", "echo hi %n; echo e >&2"], "lines", True),
    (["-w", "n[1-3]", "-b", "--color=always", "echo hi; exit 1"], "exact", True),
    (["-w", "n[1-3]", "--diff", "--color=always", "echo hi; echo %n"], "exact", True),
    (["-w", "n[1-9]", "-f", "2", "-b", "echo hi"], "exact", True),
    (["-w", "n[1-4]", "-r", "-b", "echo hi"], "exact", True),
    (["-w", "n[1-2]x[1-2]", "-b", "--axis", "1", "echo hi"], "exact", True),
    (["-w", "n[1-2]x[1-2]", "-b", "--axis=-1", "echo hi"], "exact", True),
    (["-w", "@web", "-b", "echo hi"], "exact", True),
    (["-g", "web", "-b", "echo hi"], "exact", True),
    (["-a", "-b", "echo hi"], "exact", True),
    (["-a", "-X", "web", "-b", "echo hi"], "exact", True),
    (["-a", "-x", "@web,db1", "-b", "echo hi"], "exact", True),
    (["-a", "-r", "-b", "echo hi"], "exact", True),
    (["-a", "-r", "-G", "-b", "echo hi"], "exact", True),
    (["-s", "other", "-g", "all", "-b", "echo hi"], "exact", True),
    (["-w", "@other:all", "-b", "echo hi"], "exact", True),
    (["-w", "n[1-2]", "--copy", "src", "--dest", "copied-%h"], "exact", True),
    (["-w", "n[1-2]", "--copy", "nosuch", "--dest", "copied-%h"], "exact", False),
    (["-w", "n[1-2]", "--copy", "-v", "big", "--dest", "copied-%h"], "exact", True),
    (["-w", "n[1-2]", "--rcopy", "src", "--dest", "nosuchfolder"], "exact", False),
    (["-c", "-w", "n1"], "exact", False),
    (["-w", "n[1", "true"], "exact", False),
    (["true"], "exact", False),
    (["-w", "n1", "-x", "n1", "true"], "exact", False),
    (["-g", "nosuch", "true"], "exact", False),
    (["-w", "n1", "-f", "x", "true"], "exact", False),
    (["-w", "n1", "-t", "abc", "true"], "exact", False),
    (["-w", "n1", "date +%H"], "exact", False),
    (["-s", "nosuch", "-g", "web", "true"], "exact", False),
    (["--diff", "-L", "-w", "n1", "true"], "exact", False),
    # How options may be written.
    (["-wn[1-3]", "-xn2", "-wn5", "-b", "echo x"], "exact", True),
    (["-bw", "n[1-3]", "echo", "x"], "exact", True),
    (["-w", "n[1-3]", "--fanout=2", "--dshbak", "echo x"], "exact", True),
    (["-w", "n[1-3]", "--dsh", "echo x"], "exact", True),
    (["-aLS", "exit 3"], "exact", True),
    (["-w", "n[1-3]", "echo", "--nosuch", "-b", "x"], "lines", True),
    (["-w", "n[1-2]", "-u", "0.5", "--command_timeout", "3", "-b", "echo x"], "exact", True),
    (["-w", "n[1-2]", "-t", "0", "-u", "0", "-f", "0", "-b", "echo x"], "exact", True),
    (["-w", "n[1-2]", "-u", "-1", "-b", "echo x"], "exact", True),
    (["-w", "n[1-2]", "--connect_timeout=3", "--user=bob", "--options=-oX", "-b", "echo x"], "exact", True),
    (["-w", "n[1-2]", "-l", "bob", "-o", "-oX=y", "-b", "echo x"], "exact", True),
    # Nodes and groups.
    (["-g", "web,db", "-b", "echo x"], "exact", True),
    (["-g", "web", "--group", "db", "-b", "echo x"], "exact", True),
    (["-a", "-g", "web", "-X", "db", "-b", "echo x"], "exact", True),
    (["-a", "-X", "web,db", "echo x"], "exact", False),
    (["-g", "db[1-2]", "-b", "echo x"], "exact", False),
    (["-s", "other", "-a", "-b", "echo x"], "exact", True),
    (["--groupsource=other", "-w", "n1", "-x", "@all", "-b", "echo x"], "exact", True),
    (["-w", "@nosuch", "-b", "echo x"], "exact", False),
    (["-w", "@nosuch[1-3]", "-b", "echo x"], "exact", False),
    (["-g", "web", "--groupsconf", "nosuch.conf", "true"], "exact", False),
    (["--groupsconf", "cfg/groups.conf", "-g", "web", "-b", "echo x"], "exact", True),
    (["-w", "n[1-3]", "--pick", "3", "-b", "echo x"], "exact", True),
    (["-w", "n[1-3]", "--pick=0", "-b", "echo x"], "exact", True),
    (["-w", "n1,n1,n1", "-b", "echo x"], "exact", True),
    (["-w", "n[01-03]", "-b", "echo x"], "exact", True),
    (["-w", "n[1-9/2]", "-b", "echo x"], "exact", True),
    (["-w", "n[1-2]-ib0,r[1-2]n[1-2]", "-b", "echo %h"], "exact", True),
    (["-w", "", "true"], "exact", False),
    (["-x", "n1", "true"], "exact", False),
    (["-w", "n[1-3]^n[2-5]", "-b", "echo x"], "exact", True),
    (["-w", "@*", "-b", "echo x"], "exact", True),
    (["-w", "[1-3]n,1,2", "-b", "echo x"], "exact", True),
    # What is printed.
    (["-w", "n[1-3]", "--quiet", "-b", "echo x; exit 2"], "exact", True),
    (["-w", "n[1-2]", "-q", "-v", "-b", "echo x"], "lines", True),
    (["-w", "n[1-2]", "-v", "-L", "echo x"], "lines", True),
    (["-w", "n[1-2]", "-v", "-bL", "echo x"], "lines", True),
    (["-w", "n[1-2]", "-v", "-N", "-b", "echo x"], "lines", True),
    (["-w", "n[1-2]", "-v", "--diff", "echo %h"], "lines", True),
    (["-w", "n[1-2]", "-q", "--diff", "echo %h"], "exact", True),
    (["-w", "n[1-2]", "-N", "--diff", "echo %h"], "exact", True),
    (["-w", "n[1-2]", "-O", "verbosity=2", "-b", "echo x"], "lines", True),
    (["-w", "n[1-2]", "-P", "-b", "echo x"], "exact", True),
    (["-w", "n[1-2]", "-P", "echo x"], "lines", True),
    (["-w", "web[1-3],n1", "-r", "-bL", "echo x"], "exact", True),
    (["-w", "web[1-3],n1", "-r", "-L", "echo x"], "exact", True),
    (["-w", "web[1-2],db[1-2]", "--regroup", "--groupbase", "--diff", "echo %n"], "exact", True),
    (["-w", "n[1-3]", "-bB", "echo x; echo y >&2"], "exact", True),
    (["-w", "n[1-2]", "--outdir", "o1", "-v", "echo x"], "lines", True),
    (["-w", "n[1-2]", "--errdir", "e1", "echo x; echo y >&2"], "lines", True),
    (["-w", "n[1-100]", "-bL", "echo $((%n%%3))"], "exact", True),
    (["-w", "n[1-2]", "--outdir", "o2", "-q", "-S", "echo x; exit 3"], "lines", True),
    (["-w", "n[1-2]", "-R", "exec", "-w", "n1,,n2", "true"], "exact", False),
    # Return codes.
    (["-w", "n[1-2]", "--maxrc", "exit 254"], "lines", True),
    (["-w", "n[1-2]", "-S", "exit 256"], "lines", True),
    (["-w", "n[1-2]", "-S", "-r", "-b", "exit 2"], "exact", True),
    # clush.conf and its run modes.
    (["-w", "n[1-2]", "-m", "pre", "-b", "x"], "exact", True),
    (["-w", "n[1-2]", "--mode=strict", "-b", "exit 3"], "exact", True),
    (["-w", "n[1-2]", "--conf", "other.conf", "-b", "echo x; exit 4"], "lines", True),
    (["-w", "n[1-2]", "--conf", "nosuch.conf", "-b", "echo x"], "exact", True),
    # Copies.
    (["-c", "src", "-w", "n[1-2]", "--dest", "copied-%h"], "exact", True),
    (["-w", "n[1-2]", "-f", "1", "-c", "src", "cfg/groups.conf", "--dest=copied-%h"], "exact", True),
    (["-w", "n[1-2]", "-p", "--copy", "cfg", "--dest=dir-%h"], "exact", True),
    (["-w", "n[1-2]", "--rcopy", "src", "cfg", "--dest", "home"], "exact", False),
    (["-w", "n[1-2]", "--rcopy", "src"], "exact", False),
    # What is wrong.
    (["-w", "n1", "--remote=maybe", "true"], "exact", False),
    (["-w", "n1", "--color=purple", "true"], "exact", False),
    (["-w", "n1", "--axis", "x", "-b", "true"], "exact", False),
    (["-w", "n1", "--nosuch", "true"], "exact", False),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with node groups and a file, and a home that holds nothing."""
    (tmp_path / "cfg" / "groups.d").mkdir(parents=True)
    (tmp_path / "cfg" / "groups.conf").write_text(
        "[Main]\ndefault: mine\nconfdir: $CFGDIR/groups.conf.d\nautodir: $CFGDIR/groups.d\n"
    )
    (tmp_path / "cfg" / "groups.d" / "site.yaml").write_text(
        "mine:\n  web: 'web[1-3]'\n  db: 'db[1-2]'\n  all: '@web,@db'\nother:\n  all: 'o[1-2]'\n"
    )
    (tmp_path / "cfg" / "clush.conf").write_text(
        "[Main]\nfanout: 64\nnosuchkey: 1\nconfdir: /nosuchfolder $CFGDIR/clush.conf.d\n"
    )
    (tmp_path / "cfg" / "clush.conf.d").mkdir()
    (tmp_path / "cfg" / "clush.conf.d" / "modes.conf").write_text(
        "[mode:pre]\ncommand_prefix: echo pre\n[mode:strict]\nfanout: 1\nmaxrc: yes\nnode_count: no\n"
    )
    (tmp_path / "other.conf").write_text("[Main]\nmaxrc: yes\nnode_count: no\nverbosity: 2\n")
    (tmp_path / "home").mkdir()
    (tmp_path / "src").write_text("payload\n")
    # A name whose last letter is an option that takes a value (-g).
    (tmp_path / "big").write_text("payload\n")
    return tmp_path


def run(
    words: list[str], home: Path, *, ours: bool, stdin: str = "", worker: str = "exec"
) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home / "home"),
        "CLUSTERSHELL_CFGDIR": str(home / "cfg"),
        "CLUSTERDECK_STATE_DIR": str(home / "state"),
        "CLUSTERDECK_CONFIG_DIR": str(home / "config"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONWARNINGS": "ignore",
    }
    program = [sys.executable, "-m", "clusterdeck", "run"] if ours else [sys.executable, CLUSH]
    return subprocess.run(
        [*program, *(["-R", worker] if worker else []), *words],
        cwd=home,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def narrated(text: str) -> list[str]:
    """stderr without the order and without who says it."""
    lines = (line.replace("clusterdeck: ", "clush: ", 1) for line in re.split(r"[\r\n]+", text))
    # Where nodes take their time, clush writes a counter now and then, terminal or not.
    return sorted(line for line in lines if line.strip() and not re.fullmatch(r"clush: +\d+/\d+\s*", line))


@pytest.mark.parametrize(("words", "how", "errors"), LINES, ids=[" ".join(words) for words, _, _ in LINES])
def test_the_same_line_says_the_same(words: list[str], how: str, errors: bool, home: Path) -> None:
    theirs = run(words, home, ours=False)
    mine = run(words, home, ours=True)
    assert mine.returncode == theirs.returncode, mine.stderr
    if how == "exact":
        assert mine.stdout == theirs.stdout
    else:
        assert sorted(mine.stdout.splitlines()) == sorted(theirs.stdout.splitlines())
    if errors:
        assert narrated(mine.stderr) == narrated(theirs.stderr)
    assert "Traceback" not in mine.stderr


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (["-b", "-w", "n[1-2]", "cat"], "one\ntwo\n"),
        (["-b", "-w", "n[1-2]", "wc -c"], "x" * 200_000),
        (["-n", "-b", "-w", "n[1-2]", "cat"], "one\n"),
        (["-b", "-w", "n[1-2]", "cat; echo end"], ""),
    ],
    ids=["two lines", "much", "-n", "nothing"],
)
def test_standard_input_goes_to_every_node(words: list[str], stdin: str, home: Path) -> None:
    theirs = run(words, home, ours=False, stdin=stdin)
    mine = run(words, home, ours=True, stdin=stdin)
    assert (mine.returncode, mine.stdout, mine.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


def test_files_per_node_are_the_same(home: Path) -> None:
    words = ["--outdir", "OUT", "--errdir", "ERR", "-w", "n[1-3]", "echo out %h; test %n = 1 || echo err %h >&2"]
    for ours in (False, True):
        prefix = "mine" if ours else "theirs"
        result = run(
            [word.replace("OUT", f"{prefix}-out").replace("ERR", f"{prefix}-err") for word in words], home, ours=ours
        )
        assert result.returncode == 0
    for kind in ("out", "err"):
        theirs = {file.name: file.read_bytes() for file in (home / f"theirs-{kind}").iterdir()}
        mine = {file.name: file.read_bytes() for file in (home / f"mine-{kind}").iterdir()}
        assert mine == theirs
        assert set(mine) == {"n1", "n2", "n3"}


def test_host_files(home: Path) -> None:
    (home / "hosts").write_text("n1\nn[2-3] @web\n")
    words = ["--hostfile", "hosts", "-b", "echo x"]
    theirs, mine = run(words, home, ours=False), run(words, home, ours=True)
    assert (mine.returncode, mine.stdout) == (theirs.returncode, theirs.stdout)
    missing = run(["--hostfile", "nosuch", "true"], home, ours=True)
    assert missing.returncode == run(["--hostfile", "nosuch", "true"], home, ours=False).returncode


SSH_LINES: list[tuple[list[str], str]] = [
    (["-w", "node[1-3]", "-b", "echo hi; exit 2"], "exact"),
    (["-w", "node[1-3]", "echo hi; echo err >&2"], "lines"),
    (["-w", "node[1-3]", "-B", "echo hi; echo err >&2"], "exact"),
    (["-w", "node[1-3]", "-S", "exit 7"], "lines"),
    (["-w", "node[1-2]", "-b", "date +%%", "'%h'"], "exact"),
    (["-w", "node[1-2]", "-u", "1", "-S", "sleep 30"], "exact"),
]


@pytest.mark.parametrize("worker", ["ssh", "paramiko"])
@pytest.mark.parametrize(("words", "how"), SSH_LINES, ids=[" ".join(words) for words, _ in SSH_LINES])
def test_the_same_over_ssh(words: list[str], how: str, worker: str, home: Path, sshd: Sshd) -> None:
    theirs = run(["-o", f"-F {sshd.config}", *words], home, ours=False, worker="ssh")
    via = ["-o", f"-F {sshd.config}"] if worker == "ssh" else ["-O", f"ssh.config={sshd.config}"]
    mine = run([*via, *words], home, ours=True, worker=worker)
    assert mine.returncode == theirs.returncode, mine.stderr
    if how == "exact":
        assert mine.stdout == theirs.stdout
    else:
        assert sorted(mine.stdout.splitlines()) == sorted(theirs.stdout.splitlines())
    assert narrated(mine.stderr) == narrated(theirs.stderr)


@pytest.mark.parametrize("options", [["-S"], ["-b", "-S"], ["-B"], ["-q", "-S"]], ids=" ".join)
def test_what_ssh_cannot_reach(options: list[str], home: Path, sshd: Sshd) -> None:
    words = ["-o", f"-F {sshd.config} -p 1", "-w", "node[1-2]", *options, "echo hi"]
    theirs, mine = run(words, home, ours=False, worker="ssh"), run(words, home, ours=True, worker="ssh")
    assert (mine.returncode, mine.stdout) == (theirs.returncode, theirs.stdout), mine.stderr
    assert narrated(mine.stderr) == narrated(theirs.stderr)


@pytest.mark.parametrize("worker", ["ssh", "paramiko"])
def test_copies_over_ssh(worker: str, home: Path, sshd: Sshd) -> None:
    via = ["-o", f"-F {sshd.config}"] if worker == "ssh" else ["-O", f"ssh.config={sshd.config}"]
    target = home / "there"
    out = run([*via, "-w", "node[1-2]", "--copy", "src", "--dest", str(target)], home, ours=True, worker=worker)
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")
    assert target.read_text() == "payload\n"
    for ours in (False, True):
        folder = home / ("mine" if ours else "theirs")
        folder.mkdir()
        words = ["-w", "node[1-2]", "--rcopy", str(target), "--dest", str(folder)]
        options = via if ours else ["-o", f"-F {sshd.config}"]
        back = run([*options, *words], home, ours=ours, worker=worker if ours else "ssh")
        assert back.returncode == 0, back.stderr
    assert sorted(f.name for f in (home / "mine").iterdir()) == sorted(f.name for f in (home / "theirs").iterdir())


@pytest.mark.parametrize("how", ["-o", "-O", "clush.conf", "run mode"])
def test_words_for_ssh_choose_the_worker_that_calls_it(how: str, home: Path, sshd: Sshd) -> None:
    words = ["-w", "node[1-2]", "-b", "-S", "echo hi; exit 3"]
    conf = home / "cfg" / "clush.conf"
    if how == "-o":
        words = ["-o", f"-F {sshd.config}", *words]
    elif how == "-O":
        words = ["-O", f"ssh_options=-F {sshd.config}", *words]
    elif how == "clush.conf":
        conf.write_text(f"[Main]\nssh_options: -F {sshd.config}\n")
    else:
        conf.write_text(f"[Main]\n[mode:here]\nssh_path: ssh -F {sshd.config}\n")
        words = ["-m", "here", *words]
    theirs, mine = run(words, home, ours=False, worker=""), run(words, home, ours=True, worker="")
    assert (mine.returncode, mine.stdout) == (theirs.returncode, theirs.stdout) == (3, mine.stdout), mine.stderr
    assert "hi" in mine.stdout
    assert narrated(mine.stderr) == narrated(theirs.stderr)


def test_a_signal_is_told_as_shells_tell_it(home: Path, sshd: Sshd) -> None:
    words = ["-w", "node[1-2]", "-S", "kill -9 $$"]
    assert run(["-o", f"-F {sshd.config}", *words], home, ours=False, worker="ssh").returncode == 255
    assert run(["-o", f"-F {sshd.config}", *words], home, ours=True, worker="ssh").returncode == 255
    assert run(["-O", f"ssh.config={sshd.config}", *words], home, ours=True, worker="paramiko").returncode == 137


def test_differences_that_are_meant(home: Path) -> None:
    """What clusterdeck does otherwise, on purpose; docs tell it to those who come from clush."""
    # Escape sequences of nodes do not reach the reader; --raw gives them to files and pipes.
    words = ["-N", "-w", "n1", 'printf "\\033[31mred\\033[0m\\n"']
    assert run(words, home, ours=False).stdout == "\x1b[31mred\x1b[0m\n"
    assert run(words, home, ours=True).stdout == "red\n"
    assert run(["--raw", *words], home, ours=True).stdout == "\x1b[31mred\x1b[0m\n"
    # --outdir counts together with -b, too.
    run(["-b", "--outdir", "files", "-w", "n1", "echo x"], home, ours=True)
    assert (home / "files" / "n1").read_text() == "x\n"
    # A setting that does not exist is an error, with the nearest one named.
    wrong = run(["-w", "n1", "-O", "fanuot=3", "true"], home, ours=True)
    assert wrong.returncode == 6
    assert "fanout" in wrong.stderr
    assert run(["-w", "n1", "-O", "nonsense", "true"], home, ours=True).returncode == 6
    # A comment in a host file is a comment.
    (home / "hosts").write_text("n1 # the first\n#n2\n")
    assert run(["--hostfile", "hosts", "-b", "echo x"], home, ours=True).stdout.splitlines()[1] == "n1"
    # A worker that is not there is wrong usage, too.
    wrong = run(["-w", "n1", "--worker=nosuch", "echo ran"], home, ours=True)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    # A group that is not there is wrong usage, above all where it says what is to be left out.
    for words in (["-w", "n1", "-x", "@wbe"], ["-w", "n1", "-X", "wbe"], ["-w", "n1,@wbe"], ["-w", "n1!@wbe"]):
        wrong = run([*words, "echo ran"], home, ours=True)
        assert (wrong.returncode, wrong.stdout) == (2, ""), words
        assert wrong.stderr == "clusterdeck: there is no group @wbe: did you mean @web?\n"
    # What the options say goes before a run mode; a mode that does not exist is a wrong setting.
    assert run(["-m", "strict", "-f", "3", "-w", "n1", "--dry-run", "x"], home, ours=True).returncode == 0
    assert run(["-m", "nosuch", "-w", "n1", "true"], home, ours=True).returncode == 6
    # What is not there, and what contradicts itself, is wrong usage.
    for words in (
        ["--topology", "x", "-w", "n1", "true"],
        ["-c", "src", "--rcopy", "src", "-w", "n1"],
        ["-f", "-1", "-w", "n1", "true"],
        ["-w", "n1"],
    ):
        wrong = run(words, home, ours=True)
        assert (wrong.returncode, wrong.stdout) == (2, ""), words
    # Names that could mean something to a shell.
    assert run(["-w", "n[1-3]%s", "true"], home, ours=True).returncode == 1
