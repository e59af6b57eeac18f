// Owns when the running time of an attempt begins to count. Called by the server for workers that wait before they begin, in Slurm's queue.
#pragma once

#include "core/clock.h"
#include "db/run_store.h"

namespace moelab::db {

// The present attempt of a live run counts from `now` on: until now its worker has waited.
void restart_attempt_clock(Connection& connection, RunId id, core::TimePoint now);

}  // namespace moelab::db
