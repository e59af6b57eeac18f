// Owns expert-load frames: the counts [layer][slot][expert] of a logged step, as compact blobs. Called by server/ingest
// and run_service.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "db/run_store.h"

namespace moelab::db {

struct LoadFrame {
  std::int64_t step = 0;
  std::vector<std::int64_t> layers;  // ids of the MoE layers in `counts`
  std::int64_t slots = 0;            // K
  std::int64_t experts = 0;          // E
  std::vector<std::int64_t> counts;  // row-major [layer][slot][expert]
};

class LoadStore {
 public:
  explicit LoadStore(Connection& connection) : connection_(connection) {}

  // Throws Error(storage) when counts does not have layers x slots x experts entries.
  void put(RunId run, int attempt, const LoadFrame& frame);
  // As MetricStore::supersede.
  void supersede(RunId run, int attempt, std::int64_t step);

  std::vector<std::int64_t> steps(RunId run, std::int64_t from_step);  // ascending
  // The frame of `step`, or of the last step; nothing when there is none. With `layer`, only that layer's rows; the result
  // has no layers when the run routes none under that id.
  std::optional<LoadFrame> frame(RunId run, std::optional<std::int64_t> step, std::optional<std::int64_t> layer = std::nullopt);

 private:
  Connection& connection_;
};

// Keeps at most `max` (0 = all) of the steps, evenly spread, the first and the last among them.
std::vector<std::int64_t> spread(const std::vector<std::int64_t>& steps, std::int64_t max);

}  // namespace moelab::db
