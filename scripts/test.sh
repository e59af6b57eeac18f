#!/usr/bin/env bash
# Installs what is needed, builds, and runs every test; ends with ctest's closing line and exit code.
# Usage: scripts/test.sh [--parity] [ctest options, e.g. -R core_test]
#   --parity   also make the Transformers golden files afresh and compare (installs Transformers beside .venv)
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

parity=0
if [ "${1:-}" = --parity ]; then parity=1; shift; fi

"$ROOT/scripts/install.sh" --tests
"$ROOT/scripts/build.sh" --tests

if [ "$parity" = 1 ]; then
  venv="$ROOT/.cache/venv-parity"
  list="$ROOT/tests/golden/requirements.txt"
  if ! cmp -s "$list" "$venv/.installed"; then
    say "Installing Transformers for the live parity test"
    quietly /usr/bin/python3 -m venv "$venv"
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check -q -r "$list"
    cp "$list" "$venv/.installed"
  fi
  export MOELAB_PARITY_PYTHON="$venv/bin/python"
fi

say "Running the tests"
cd "$ROOT"
ctest --preset release "$@"
