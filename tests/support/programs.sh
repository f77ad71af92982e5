#!/bin/sh
# The programs that tests use besides Python: installs what is missing where it may (root on a system with apt),
# otherwise says what is missing and how to get it, and fails. Tests are never skipped for want of a program.
set -eu
PATH="$PATH:/usr/sbin:/usr/local/sbin"

missing=""
need() {  # program, Debian package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need ssh openssh-client
need sftp openssh-client
need ssh-keygen openssh-client
need sshd openssh-server
need pdsh pdsh
need sudo sudo
need tmux tmux
need redis-server redis-server
need parallel parallel
need fish fish
need zsh zsh
need git git

missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
[ -n "${missing% }" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing for the tests: $missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    # Services that these packages would start are not wanted: the tests start their own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
    exit 0
fi
echo "the tests need programs that are not here; install them with:" >&2
echo "  sudo apt-get install $missing" >&2
echo "or your system's packages of the same names." >&2
exit 1
