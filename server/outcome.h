// Owns the judgement how an attempt has ended: what the worker said last, how its process went, and what we had asked of
// it. Pure; called by the dispatcher when a worker is gone.
#pragma once

#include <chrono>
#include <optional>

#include "core/clock.h"
#include "db/run_store.h"
#include "server/launcher.h"

namespace moelab::server {

// In this order:
//   said completed                      -> completed, even if it was asked to stop meanwhile
//   said pruned                         -> pruned, likewise
//   said failed, out of memory          -> out_of_memory (message of the allocator, CUDA's or the CPU's)
//   said failed otherwise               -> failed: the same would happen again
//   asked to stop (cancel, timeout, shutdown) -> cancelled, timed_out, queued
//   said preempted                      -> queued: somebody else sent SIGTERM
//   gone before it said `started`, under an earlier daemon -> queued: that daemon died between starting it and letting it go
//   killed by the kernel for memory     -> out_of_memory. Told from an ordinary SIGKILL only by the kernel's counter of
//                                          OOM kills; for a worker of an earlier daemon the signal is unknown, so it is a crash
//   exit code 2 or 5 without a word     -> failed: configuration, data or storage, the same would happen again
//   anything else is a crash            -> queued with a back-off while restarts are left, then failed; lost when even the
//                                          exit status is unknown
db::AttemptEnd judge(const db::RunRow& run, const Exit& exit, const std::optional<db::FinalWord>& word, core::TimePoint now);

// Seconds to wait before the n-th restart (n = 1, 2, ...): 1, 2, 4, ... at most 60.
std::chrono::seconds backoff(int restart);

}  // namespace moelab::server
