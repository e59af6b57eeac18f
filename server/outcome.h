// Owns the judgement how an attempt has ended: what the worker said last, how its process went, and what we had asked of
// it. Pure; called by the dispatcher when a worker is gone.
#pragma once

#include <chrono>
#include <optional>

#include "core/clock.h"
#include "db/run_store.h"
#include "server/launcher.h"

namespace moelab::server {

// What the policy of the run leaves open to it.
struct Allowed {
  // How many times smaller its micro-batches may become after out of memory; nothing: not at all (resources.halve_on_oom is off, or
  // they cannot be halved).
  std::optional<std::int64_t> micro_batch_divisor;
};

// In this order:
//   said completed                      -> completed, even if it was asked to stop meanwhile
//   said pruned                         -> pruned, likewise
//   said failed, not for memory         -> failed: the same would happen again; for a CUDA error like a crash: it may be the device
//   said failed, out of memory          -> queued with smaller micro-batches where allowed, else out_of_memory; a person's pause,
//                                          cancel or kill goes before
//   asked to stop                       -> what the stop was for: queued (shutdown, drain), pruned, timed_out, paused, cancelled,
//                                          failed (misplaced), or like a crash (hang)
//   taken away by its place             -> queued: a node failed, a job of higher priority came; before the attempt's first step like
//                                          a crash
//   said preempted                      -> likewise: somebody else sent SIGTERM
//   the machine was started again       -> queued
//   gone before it said `started`, under an earlier daemon -> queued: that daemon died between starting it and letting it go
//   killed by the kernel for memory     -> as out of memory. Told from an ordinary SIGKILL only by the kernel's counter of
//                                          OOM kills; for a worker of an earlier daemon the signal is unknown, so it is a crash
//   exit code 2 or 5 without a word     -> failed: configuration, data or storage, the same would happen again
//   anything else is a crash            -> queued with a back-off while restarts are left, then failed; lost when even the
//                                          exit status is unknown
db::AttemptEnd judge(const db::RunRow& run, const Exit& exit, const std::optional<db::FinalWord>& word, const Allowed& allowed,
                     core::TimePoint now);

// The worker ended on a CUDA error.
bool speaks_of_cuda(const db::FinalWord& word);

// Seconds to wait before the n-th restart (n = 1, 2, ...): 1, 2, 4, ... at most 60.
std::chrono::seconds backoff(int restart);

}  // namespace moelab::server
