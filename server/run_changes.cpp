#include "server/run_changes.h"

#include <spdlog/spdlog.h>

#include "core/error.h"
#include "db/experiment_store.h"

namespace moelab::server {

void RunChanges::change(db::RunId run, const std::function<void(db::RunStore&)>& work) {
  change_if(run, [&](db::RunStore& runs) {
    work(runs);
    return true;
  });
}

void RunChanges::change_if(db::RunId run, const std::function<bool(db::RunStore&)>& work) {
  const bool changed = database_.write([&](db::Connection& c) {
    db::RunStore runs(c);
    return work(runs);
  });
  if (changed) publish(run);
}

void RunChanges::publish(db::RunId run) {
  bus_.run_changed(run);
  try {
    const auto experiments = database_.read([&](db::Connection& c) { return db::ExperimentStore(c).experiments_of(run); });
    for (const std::int64_t experiment : experiments) bus_.experiment_changed(experiment);
  } catch (const core::Error& e) {
    spdlog::warn("run {} has changed, and nobody can be told of its experiments: {}", run, e.what());
  }
}

}  // namespace moelab::server
