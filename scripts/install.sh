#!/usr/bin/env bash
# Installs what Moelab needs, by name from package managers: Debian packages, and LibTorch, Node and pytest as wheels in .venv.
# Usage: scripts/install.sh [--run-only] [--tests] [--cuda-toolkit] [--wheel cpu|cuda]
#   --tests         also what only the tests need (Chromium, pytest, ...)
#   --cuda-toolkit  also the CUDA toolkit as wheels, for -DMOELAB_CUDA=ON
#   --wheel KIND    LibTorch for the CPU or for CUDA; default: cuda where an NVIDIA driver is present
#   --run-only      only what a built Moelab needs to run (used by docker/)
# Idempotent: does nothing, in about a second, when all is there.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

RUNTIME_PACKAGES="libyaml-cpp0.7 libsqlite3-0 libcpp-httplib0.11 libsentencepiece0 libspdlog1.10 libprometheus-cpp-core1.0 libpng16-16 libgif7 libssl3 libgomp1
  python3 python3-venv ca-certificates"
BUILD_PACKAGES="g++ cmake ninja-build pkgconf ccache git libyaml-cpp-dev libsqlitecpp-dev libsqlite3-dev libcpp-httplib-dev nlohmann-json3-dev
  libsentencepiece-dev libcli11-dev libspdlog-dev prometheus-cpp-dev libpng-dev libgif-dev libssl-dev libboost-dev doctest-dev"
TEST_PACKAGES="chromium fonts-dejavu-core procps curl munge slurm-client slurmctld slurmd"

wheel=""; tests=0; toolkit=0; run_only=0
while [ $# -gt 0 ]; do
  case "$1" in
    --tests) tests=1 ;;
    --cuda-toolkit) toolkit=1 ;;
    --run-only) run_only=1 ;;
    --wheel) shift; wheel="${1:-}" ;;
    *) die "unknown option $1; see the head of scripts/install.sh" 2 ;;
  esac
  shift
done
if [ -z "$wheel" ]; then
  if [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null 2>&1; then wheel=cuda; else wheel=cpu; fi
fi
# A worker for GPUs is built with the toolkit: the system's where there is one.
if [ "$wheel" = cuda ] && [ "$run_only" = 0 ] && ! command -v nvcc >/dev/null 2>&1 && [ ! -x /usr/local/cuda/bin/nvcc ]; then toolkit=1; fi
case "$wheel" in cpu|cuda) ;; *) die "--wheel must be cpu or cuda, not '$wheel'" 2 ;; esac

# --- Debian packages ---
packages="$RUNTIME_PACKAGES"
[ "$run_only" = 1 ] || packages="$packages $BUILD_PACKAGES"
[ "$tests" = 0 ] || packages="$packages $TEST_PACKAGES"
command -v dpkg-query >/dev/null 2>&1 || die "this script installs Debian packages, and this is not a Debian system. See README.md, 'Other systems'."
MISSING_PACKAGES=""
for package in $packages; do
  state="$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)"
  [ "${state:0:2}" = ii ] || MISSING_PACKAGES="$MISSING_PACKAGES $package"
done
if [ -n "$MISSING_PACKAGES" ]; then
  say "Installing Debian packages:$MISSING_PACKAGES"
  export DEBIAN_FRONTEND=noninteractive
  quietly as_root apt-get update -q
  # shellcheck disable=SC2086 -- the list is meant to be split into words
  quietly as_root apt-get install -y -q --no-install-recommends $MISSING_PACKAGES
fi

# --- Wheels in .venv ---
# A stamp per list, holding the list's own text: a changed pin installs again, an unchanged one costs nothing.
wheels() { # wheels NAME [pip options]
  local list="$ROOT/scripts/requirements/$1.txt" stamp="$VENV/.installed-$1"
  shift
  if cmp -s "$list" "$stamp"; then return; fi
  say "Installing Python wheels: $(grep -v '^#' "$list" | tr '\n' ' ')"
  quietly "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input -q "$@" -r "$list"
  cp "$list" "$stamp"
}
if [ ! -x "$VENV/bin/python" ]; then
  say "Making the virtual environment .venv"
  quietly /usr/bin/python3 -m venv "$VENV"
fi
exec 9>"$VENV/.lock"
flock 9
if [ "$wheel" = cuda ]; then wheels libtorch-cuda; elif [ ! -e "$VENV/.installed-libtorch-cuda" ]; then wheels libtorch-cpu --no-deps; fi
[ "$run_only" = 1 ] || wheels node
[ "$tests" = 0 ] || wheels tests
[ "$toolkit" = 0 ] || wheels cuda-toolkit --no-deps
