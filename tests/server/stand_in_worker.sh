#!/bin/sh
# A stand-in for moelab-worker in tests of the launcher and the daemon: it trains nothing. It takes the same command line,
# writes a journal of STAND_IN_STEPS steps (loss = 100 * attempt + step), "checkpoints" every step into its run directory,
# and leaves with a checkpoint on SIGTERM. STAND_IN_MODE: train (default), crash (dies by SIGKILL after two steps of the first
# attempt, or of the first STAND_IN_CRASHES), stubborn (ignores SIGTERM, with a child process), env (prints its environment and open files).
run_dir=; attempt=1
while [ $# -gt 0 ]; do
  case $1 in
    --run-dir) run_dir=$2; shift ;;
    --attempt) attempt=$2; shift ;;
  esac
  shift
done
journal=$run_dir/events.jsonl
seq=0
event() {  # TYPE STEP PAYLOAD
  seq=$((seq + 1))
  echo "{\"v\":1,\"seq\":$seq,\"attempt\":$attempt,\"step\":$2,\"time\":\"2026-11-22T10:00:00.000Z\",\"type\":\"$1\"$3}" >> "$journal"
}
mkdir -p "$run_dir/checkpoints"
step=$(cat "$run_dir/checkpoints/step" 2>/dev/null || echo 0)
steps=${STAND_IN_STEPS:-20}
leave() { event finished "$step" ',"status":"preempted","reason":"","message":""'; exit 75; }
trap leave TERM
if [ "$STAND_IN_MODE" = env ]; then
  env
  for fd in /proc/$$/fd/*; do echo "FD ${fd##*/}"; done
  echo "SESSION $(cut -d' ' -f6 /proc/$$/stat) PID $$"
  grep Cpus_allowed_list /proc/$$/status
fi
if [ "$STAND_IN_MODE" = stubborn ]; then
  trap '' TERM
  sleep 600 &
  echo "CHILD $!"
fi
event started "$step" ",\"pid\":$$,\"host\":\"stand-in\",\"resumed_from_step\":$step,\"max_steps\":$steps"
while [ "$step" -lt "$steps" ] || [ "$STAND_IN_MODE" = stubborn ]; do
  sleep 0.02
  [ "$STAND_IN_MODE" = stubborn ] && continue
  step=$((step + 1))
  event metrics "$step" ",\"values\":{\"train/loss\":$((100 * attempt + step))}"
  echo "$step" > "$run_dir/checkpoints/step.tmp" && mv "$run_dir/checkpoints/step.tmp" "$run_dir/checkpoints/step"
  if [ "$STAND_IN_MODE" = crash ] && [ "$attempt" -le "${STAND_IN_CRASHES:-1}" ] && [ "$step" -ge 2 ]; then kill -KILL $$; fi
done
event finished "$step" ',"status":"completed","reason":"","message":"","values":{}'
exit 0
