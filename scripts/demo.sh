#!/usr/bin/env bash
# The whole of Moelab in one command: installs, builds, starts the daemon, prepares real data, trains the demo profile of
# experiments.yaml, prints the result table and says where the dashboard is.
# Usage: scripts/demo.sh [--exit] [--all] [--port N] [-- options of `moelab submit`]
#   --exit   end with the matrix's exit code instead of serving on (the default without a terminal)
#   --all    train all 32 runs of the demo profile, not the 8 that tell most of it
# Everything it makes is kept in .home (runs, database) and data/ (corpus); a second call trains only what is missing.
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

serve_on=0
if [ -t 0 ] && [ -t 1 ]; then serve_on=1; fi
only=(--only reference --only a_load_balance --only c1_moedl_e8_k1 --only c3_moedl_e32_k4 --only d1_moedl_s0_k4_e32 --only d2_moedl_s1_k3_e31 --only d4_moedl_s3_k1_e29 --only e1_moedl_cf_1.0)
port=7070
while [ $# -gt 0 ]; do
  case "$1" in
    --exit) serve_on=0 ;;
    --all) only=() ;;
    --port) shift; port="${1:?--port needs a number}" ;;
    --) shift; break ;;
    -h|--help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option $1; try --help" 2 ;;
  esac
  shift
done

"$ROOT/scripts/install.sh"
"$ROOT/scripts/build.sh"
cd "$ROOT"
export MOELAB_HOME="${MOELAB_HOME:-$ROOT/.home}"
moelab="$BUILD/bin/moelab"

say "Preparing the demo corpus"
"$VENV/bin/python" scripts/demo_data.py
"$VENV/bin/python" scripts/demo_math.py

say "Starting the daemon (home: $MOELAB_HOME)"
mkdir -p "$MOELAB_HOME"
log="$MOELAB_HOME/daemon.log"
"$moelab" serve --port "$port" >"$log" 2>&1 &
daemon=$!
stop_daemon() { kill -TERM "$daemon" 2>/dev/null && wait "$daemon" || true; }
trap stop_daemon EXIT
until "$moelab" health >/dev/null 2>&1; do
  kill -0 "$daemon" 2>/dev/null || { trap - EXIT; cat "$log" >&2; die "the daemon did not start; its words are above"; }
  sleep 0.1
done

say "Submitting the demo profile of experiments.yaml"
"$moelab" submit experiments.yaml --profile demo "${only[@]}" "$@"
code=0
"$moelab" wait --all --progress || code=$?
"$moelab" results || true
if [ "$code" = 130 ]; then
  say "Stopped; every run is saved. The same command goes on from there."
else
  say "Dashboard: $("$moelab" health --url)"
fi
if [ "$serve_on" = 1 ] && [ "$code" != 130 ]; then
  say "Serving until Ctrl-C"
  trap 'stop_daemon; exit "$code"' INT TERM
  trap - EXIT
  wait "$daemon" || true
fi
exit "$code"
