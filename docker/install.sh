#!/bin/sh
# Install requirements/$1.lock into /opt/venv: from the wheelhouse where there is one, else from the index.
set -eu
where=
if ls /wheelhouse/*.whl >/dev/null 2>&1; then
  where="--no-index --find-links /wheelhouse"
fi
# shellcheck disable=SC2086 -- two options, or none
/opt/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes $where \
  -r "/build/$1.lock"
# The image installs nothing once it is made.
/opt/venv/bin/python -m pip uninstall --quiet --yes pip setuptools 2>/dev/null || true
find /opt/venv -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
