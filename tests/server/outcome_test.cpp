// How an attempt's end is judged, row by row.
#include "server/outcome.h"

#include <doctest/doctest.h>

#include <csignal>

#include "tests/db/fixtures.h"

using namespace moelab;
using core::RunState;
using test::at_s;

namespace {

struct Case {
  const char* what;
  RunState state;
  std::optional<db::StopIntent> intent;
  server::Exit exit;
  std::optional<db::FinalWord> word;
  int restarts;
  RunState to;
  bool restart;
  server::Allowed allowed = {};
  bool came_further = true;  // it has made a step in this attempt
};

const server::Exit kGone{}, kExit0{0, {}, false}, kExit1{1, {}, false}, kExit2{2, {}, false}, kExit5{5, {}, false}, kExit75{75, {}, false},
    kKilled{{}, SIGKILL, false}, kOom{{}, SIGKILL, true};
const server::Exit kRebooted{{}, {}, false, true}, kTakenAway{{}, {}, false, false, "the node failed", true};
const db::FinalWord kCompleted{"completed", "", ""}, kFailed{"failed", "data", "no tokens"}, kPruned{"pruned", "collapse", "step 300"},
    kPreempted{"preempted", "", ""}, kMemory{"failed", "internal", "CUDA out of memory. Tried to allocate 2 GiB"},
    kCpuMemory{"failed", "internal", "std::bad_alloc"}, kCuda{"failed", "internal", "CUDA error: unspecified launch failure"},
    kCublas{"failed", "internal", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"};

}  // namespace

TEST_CASE("every way an attempt can end") {
  using enum RunState;
  using db::StopIntent;
  const std::vector<Case> cases{
      {"done", running, {}, kExit0, kCompleted, 0, completed, false},
      {"done while being cancelled", stopping, StopIntent::cancel, kExit0, kCompleted, 0, completed, false},
      {"done under an earlier daemon", running, {}, kGone, kCompleted, 0, completed, false},
      {"bad data", running, {}, kExit2, kFailed, 0, failed, false},
      {"GPU memory", running, {}, kExit1, kMemory, 0, out_of_memory, false},
      {"CPU memory", running, {}, kExit1, kCpuMemory, 0, out_of_memory, false},
      {"the kernel's OOM killer", running, {}, kOom, {}, 0, out_of_memory, false},
      {"cancelled, checkpointed", stopping, StopIntent::cancel, kExit75, kPreempted, 0, cancelled, false},
      {"cancelled, killed after the grace", stopping, StopIntent::cancel, kKilled, {}, 0, cancelled, false},
      {"pruned by its own rule", running, {}, kExit0, kPruned, 0, pruned, false},
      {"timed out", stopping, StopIntent::timeout, kExit75, kPreempted, 0, timed_out, false},
      {"daemon stops", stopping, StopIntent::shutdown, kExit75, kPreempted, 0, queued, false},
      {"daemon stops, worker killed", stopping, StopIntent::shutdown, kKilled, {}, 3, queued, false},
      {"somebody sent SIGTERM", running, {}, kExit75, kPreempted, 3, queued, false},
      {"crash", running, {}, kKilled, {}, 0, queued, true},
      {"left without a word", running, {}, kExit0, {}, 2, queued, true},
      {"crash, restarts used up", running, {}, kKilled, {}, 3, failed, false},
      {"configuration error before the journal", starting, {}, kExit2, {}, 0, failed, false},
      {"storage error without a word", running, {}, kExit5, {}, 0, failed, false},
      {"gone under an earlier daemon", running, {}, kGone, {}, 0, queued, true},
      {"gone under an earlier daemon, restarts used up", running, {}, kGone, {}, 3, lost, false},
      {"never let go by an earlier daemon", starting, {}, kGone, {}, 3, queued, false},
      {"drained", stopping, StopIntent::drain, kExit75, kPreempted, 0, queued, false},
      {"paused", stopping, StopIntent::pause, kExit75, kPreempted, 0, paused, false},
      {"paused, killed after the grace", stopping, StopIntent::pause, kKilled, {}, 0, paused, false},
      {"paused, but done", stopping, StopIntent::pause, kExit0, kCompleted, 0, completed, false},
      {"killed by a person", stopping, StopIntent::kill, kKilled, {}, 0, cancelled, false},
      {"pruned by its experiment's rule", stopping, StopIntent::prune, kExit75, kPreempted, 0, pruned, false},
      {"hanging", stopping, StopIntent::hang, kKilled, {}, 0, queued, true},
      {"hanging, restarts used up", stopping, StopIntent::hang, kKilled, {}, 3, failed, false},
      {"on a device that is not its own", stopping, StopIntent::misplaced, kKilled, {}, 0, failed, false},
      {"the machine was started again", running, {}, kRebooted, {}, 3, queued, false},
      {"its place took it away", running, {}, kTakenAway, {}, 3, queued, false},
      {"its place took it away before its first step", running, {}, kTakenAway, {}, 0, queued, true, {}, false},
      {"somebody sent SIGTERM before its first step", running, {}, kExit75, kPreempted, 0, queued, true, {}, false},
      {"again and again", running, {}, kExit75, kPreempted, 3, failed, false, {}, false},
      {"a CUDA error, which may be the device's", running, {}, kExit1, kCuda, 0, queued, true},
      {"a CUDA error, restarts used up", running, {}, kExit1, kCuda, 3, failed, false},
      {"cuBLAS finds no memory", running, {}, kExit1, kCublas, 0, out_of_memory, false},
      {"out of memory, may be halved", running, {}, kExit1, kMemory, 3, queued, false, {2}},
      {"the kernel's OOM killer, may be halved", running, {}, kOom, {}, 3, queued, false, {4}},
      {"out of memory while being cancelled", stopping, StopIntent::cancel, kExit1, kMemory, 0, cancelled, false, {2}},
      {"cancelled, and its place took it away", stopping, StopIntent::cancel, kTakenAway, {}, 0, cancelled, false},
      {"paused, and the machine was started again", stopping, StopIntent::pause, kRebooted, {}, 0, paused, false},
      {"cancelled, and the kernel's OOM killer", stopping, StopIntent::cancel, kOom, {}, 0, cancelled, false, {2}},
      {"out of memory while being paused", stopping, StopIntent::pause, kExit1, kMemory, 0, paused, false, {2}},
      {"bad data, whatever is allowed", running, {}, kExit2, kFailed, 0, failed, false, {2}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    db::RunRow run;
    run.state = c.state;
    run.stop_intent = c.intent;
    run.restarts = c.restarts;
    run.resources.max_restarts = 3;
    if (c.came_further) run.pace_step = 1;
    const db::AttemptEnd end = server::judge(run, c.exit, c.word, c.allowed, at_s(0));
    CHECK(core::to_string(end.to) == core::to_string(c.to));
    CHECK(end.counts_as_restart == c.restart);
    CHECK(core::is_legal(c.state, end.to));
    CHECK(end.not_before.has_value() == c.restart);
    CHECK(end.micro_batch_divisor.has_value() == (c.to == queued && c.allowed.micro_batch_divisor.has_value()));
    if (end.to != completed) CHECK_FALSE(end.reason.empty());
  }
}

TEST_CASE("the back-off doubles up to a minute") {
  CHECK(server::backoff(1).count() == 1);
  CHECK(server::backoff(2).count() == 2);
  CHECK(server::backoff(6).count() == 32);
  CHECK(server::backoff(7).count() == 60);
  CHECK(server::backoff(1000).count() == 60);
}
