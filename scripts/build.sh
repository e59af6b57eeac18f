#!/usr/bin/env bash
# Builds Moelab: both executables in build/release/bin and the dashboard in web/dist. Usage: scripts/build.sh [--tests] [cmake options]
# Quick when nothing changed.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

tests=OFF
if [ "${1:-}" = --tests ]; then tests=ON; shift; fi

say "Building the dashboard"
"$ROOT/scripts/build_web.sh"

say "Building moelab and moelab-worker (the first time takes a few minutes)"
cd "$ROOT"
cuda=OFF
if [ -e "$VENV/.installed-libtorch-cuda" ]; then cuda=ON; fi
quietly cmake --preset release -DMOELAB_TESTS="$tests" -DMOELAB_CUDA="$cuda" "$@"
if [ -t 1 ]; then cmake --build --preset release; else quietly cmake --build --preset release; fi
