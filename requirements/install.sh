#!/bin/sh
# Install a lock into a virtual environment: install.sh PYTHON VENV LOCK.
# An environment that is missing, has no working pip, or was left in the middle of an installation is made anew.
set -eu
python=$1 venv=$2 lock=$3
unfinished=$venv/.unfinished

fail() {
  echo "error: $*" >&2
  exit 1
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "GridLedger needs Python 3.11 or later, which $python is not: make PYTHON=python3.12 ..."

trap 'echo "error: interrupted. Run make again: what is half made is made anew" >&2; exit 130' INT TERM
if [ -e "$unfinished" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot make a virtual environment: install python3-venv (Debian, Ubuntu: apt install python3-venv)"
  echo "making the virtual environment $venv"
  rm -rf "$venv"
  "$python" -m venv "$venv" ||
    fail "$python could not make the virtual environment $venv: is python3-venv installed, and is the disk not full?"
fi

echo "installing $lock into $venv"
touch "$unfinished" # stays where this is killed or interrupted: pip may have left half a package
status=0
"$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$lock" || status=$?
rm -f "$unfinished"
[ "$status" = 0 ] || fail "pip could not install $lock; what it says stands above. Run make again to go on"
