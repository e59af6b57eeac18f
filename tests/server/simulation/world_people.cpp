// What people do to runs, and what they may expect from then on.
#include "tests/server/simulation/world.h"

namespace moelab::sim {

using core::RunState;
using server::RunVerb;

void World::act_on_a_run() {
  const std::vector<db::RunRow> runs = read([](db::Connection& c) { return db::RunStore(c).in_states(core::all_run_states()); });
  if (runs.empty()) return;
  const std::int64_t id = runs[random_() % runs.size()].id;
  const auto& verbs = server::run_verbs();
  const RunVerb verb = verbs[random_() % verbs.size()].verb;
  guarded([&] {
    const auto refused = database_->write([&](db::Connection& c) { return server::apply_verb(c, id, verb, clock_.now()); });
    if (refused) return;
    happened(server::to_string(verb));
    bus_.run_changed(id);
    switch (verb) {
      case RunVerb::pause:
      case RunVerb::cancel:
      case RunVerb::kill:
        unwanted_.insert(id);
        break;
      case RunVerb::resume:
      case RunVerb::retry:
      case RunVerb::rerun:
        unwanted_.erase(id);
        done_.erase(id);
        hurried_.insert(id);
        break;
      case RunVerb::archive:
      case RunVerb::unarchive:
        break;  // they change what is listed, not what is done
    }
  });
}

void World::force_a_run() {
  const std::vector<db::RunRow> queued = read([](db::Connection& c) { return db::RunStore(c).in_states({RunState::queued}); });
  if (queued.empty()) return;
  const std::int64_t id = queued[random_() % queued.size()].id;
  guarded([&] {
    database_->write([&](db::Connection& c) { db::RunStore(c).force(id, db::kAnyDevice, clock_.now()); });
    happened("force");
    forced_.insert(id);
    hurried_.insert(id);
    bus_.run_changed(id);
  });
}

}  // namespace moelab::sim
