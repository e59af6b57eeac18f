#include "db/load_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "db/load_codec.h"
#include "db/statement.h"

namespace moelab::db {

void LoadStore::put(RunId run, int attempt, const LoadFrame& f) {
  if (f.slots < 1 || f.experts < 1 ||
      f.counts.size() != f.layers.size() * static_cast<std::size_t>(f.slots) * static_cast<std::size_t>(f.experts)) {
    throw core::Error(core::ErrorKind::storage, "an expert-load frame of step " + std::to_string(f.step) + " has " +
                                                    std::to_string(f.counts.size()) + " counts, not layers x slots x experts");
  }
  Statement(connection_,
            "INSERT OR REPLACE INTO expert_loads (run_id, step, attempt, layers, slots, experts, counts) VALUES (?, ?, ?, ?, ?, ?, ?)", run,
            f.step, attempt, nlohmann::json(f.layers).dump(), f.slots, f.experts, Blob{encode_counts(f.counts)})
      .run();
}

void LoadStore::supersede(RunId run, int attempt, std::int64_t step) {
  Statement(connection_, "DELETE FROM expert_loads WHERE run_id = ?1 AND attempt < ?2 AND (step > ?3 OR ?3 = 0)", run, attempt, step).run();
}

std::vector<std::int64_t> LoadStore::steps(RunId run, std::int64_t from_step) {
  std::vector<std::int64_t> steps;
  Statement row(connection_, "SELECT step FROM expert_loads WHERE run_id = ? AND step >= ? ORDER BY step", run, from_step);
  while (row.step()) steps.push_back(row.integer(0));
  return steps;
}

std::optional<LoadFrame> LoadStore::frame(RunId run, std::optional<std::int64_t> step, std::optional<std::int64_t> layer) {
  Statement row(connection_,
                "SELECT step, layers, slots, experts, counts FROM expert_loads WHERE run_id = ?1 AND (?2 IS NULL OR step = ?2) "
                "ORDER BY step DESC LIMIT 1",
                run, step);
  if (!row.step()) return std::nullopt;
  LoadFrame f;
  f.step = row.integer(0);
  f.layers = nlohmann::json::parse(row.text(1)).get<std::vector<std::int64_t>>();
  f.slots = row.integer(2);
  f.experts = row.integer(3);
  const std::size_t layer_size = static_cast<std::size_t>(f.slots * f.experts);
  f.counts = decode_counts(row.text(4), f.layers.size() * layer_size);
  if (layer) {
    const auto found = std::find(f.layers.begin(), f.layers.end(), *layer);
    const bool known = found != f.layers.end();
    const auto first = f.counts.begin() + (found - f.layers.begin()) * static_cast<std::ptrdiff_t>(layer_size);
    f.counts = known ? std::vector(first, first + static_cast<std::ptrdiff_t>(layer_size)) : std::vector<std::int64_t>{};
    f.layers = known ? std::vector{*layer} : std::vector<std::int64_t>{};
  }
  return f;
}

std::vector<std::int64_t> spread(const std::vector<std::int64_t>& steps, std::int64_t max) {
  const auto count = static_cast<std::int64_t>(steps.size());
  if (max <= 0 || count <= max) return steps;
  if (max == 1) return {steps.back()};
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < max; ++i) kept.push_back(steps[static_cast<std::size_t>(i * (count - 1) / (max - 1))]);
  return kept;
}

}  // namespace moelab::db
