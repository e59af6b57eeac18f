# Sourced by the other scripts: where things are, how they speak, and how they become root. Needs bash only.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
VENV="$ROOT/.venv"
BUILD="$ROOT/build/release"
export LC_ALL=C.UTF-8

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then BOLD=$'\e[1m' RED=$'\e[31m' PLAIN=$'\e[0m'; else BOLD='' RED='' PLAIN=''; fi
say() { printf '%s==>%s %s\n' "$BOLD" "$PLAIN" "$*"; }
die() { printf '%serror:%s %s\n' "$RED" "$PLAIN" "$*" >&2; exit "${2:-1}"; }

# Runs a command quietly; its output is shown only when it fails.
quietly() {
  local log
  log="$(mktemp)"
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "this command failed: $*"
  fi
  rm -f "$log"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null 2>&1; then sudo --preserve-env=DEBIAN_FRONTEND "$@"
  else die "Debian packages are missing and you are neither root nor have sudo. Ask an administrator to run: apt-get install -y $MISSING_PACKAGES"
  fi
}
