#include "server/submission.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "core/config_json.h"
#include "core/field_io.h"
#include "core/origin.h"
#include "db/retention_store.h"
#include "server/analysis/lr_sweep_store.h"
#include "server/file_io.h"
#include "server/listing_json.h"
#include "server/situation.h"

namespace moelab::server {
namespace {

// What decides how much device memory a run needs, so that one measurement serves all runs like it.
std::string memory_key_of(const core::RunConfig& config, const core::Cost& cost) {
  const auto name = [&](const char* path) { return core::field_json(config, path).get<std::string>(); };
  return std::to_string(cost.total_parameters) + '/' + std::to_string(cost.active_parameters) + '/' +
         std::to_string(config.train.batch_size / config.train.grad_accum) + 'x' + std::to_string(config.data.block_size) + '/' +
         name("train.precision") + '/' + name("moe.routing");
}

db::NewRun new_run(const core::PlannedRun& planned) {
  const core::RunSpec& spec = planned.spec;
  const core::Cost& cost = planned.cost;
  db::NewRun run;
  run.key = spec.key;
  run.matrix = spec.matrix;
  run.name = spec.name;
  run.spec = core::to_json(spec);
  run.seed = spec.config.seed;
  run.total_parameters = cost.total_parameters;
  run.active_parameters = cost.active_parameters;
  run.flops_per_token = cost.flops_per_token;
  run.tokens = static_cast<double>(cost.tokens.value_or(0));
  run.max_steps = cost.tokens && cost.tokens_per_step > 0 ? *cost.tokens / cost.tokens_per_step : spec.config.train.max_steps.value_or(0);
  run.priority = spec.priority;
  run.resources = resources_of(spec.config);
  run.waits_for = core::origin_of(spec.config).value_or("");
  run.depends_on = spec.depends_on;
  if (!run.waits_for.empty()) run.depends_on.push_back(run.waits_for);
  run.memory_key = memory_key_of(spec.config, cost);
  return run;
}

// The knobs the experiment varies, in the order knobs are shown to people.
nlohmann::json varied_in_order(const core::PlannedRun& planned) {
  nlohmann::json list = nlohmann::json::array();
  core::for_each_field(planned.spec.config, [&](const core::FieldInfo& info, const auto&) {
    const auto found = planned.varied.find(std::string(info.path));
    if (found != planned.varied.end()) list.push_back({std::string(info.path), *found});
  });
  return list;
}

void write_spec(FileBatch& files, const HomePaths& paths, std::int64_t id, nlohmann::json spec) {
  spec["run_id"] = id;
  files.add(paths.spec(id), spec.dump(2) + "\n");
}

class Recorder {
 public:
  Recorder(db::Connection& connection, const HomePaths& paths, bool force, core::TimePoint now,
           std::vector<std::int64_t>& created_directories)
      : connection_(connection), paths_(paths), force_(force), now_(now), created_directories_(created_directories) {}

  Submitted record(const core::Plan& plan, const std::string& source_name) {
    db::ExperimentStore experiments(connection_);
    std::map<std::string, std::int64_t> ids;
    for (const core::PlannedExperiment& e : plan.experiments) {
      ids[e.name] =
          experiments.put({0, plan.matrix, e.name, plan.profile, e.baseline, e.notes, e.tags, source_name, e.max_concurrent, now_,
                           e.prune ? core::to_json(*e.prune).dump() : ""});
      submitted_.experiments.push_back(ids[e.name]);
    }
    for (const core::PlannedRun& planned : plan.runs) {
      const core::RunSpec& spec = planned.spec;
      const std::int64_t experiment = ids.at(spec.experiment);
      const std::int64_t run = record_run(planned);
      experiments.put_member(
          {experiment, spec.experiment, spec.name, run, spec.baseline, spec.baseline_key, spec.notes, spec.tags, varied_in_order(planned),
           spec.family});
      submitted_.members.emplace_back(experiment, spec.name);
    }
    std::vector<std::int64_t> listed = submitted_.runs;
    for (const std::int64_t experiment : submitted_.experiments) {
      for (const std::int64_t run : drop_stale_rates(connection_, experiment, plan)) listed.push_back(run);
    }
    for (const std::int64_t run : listed) add_listings(files_, connection_, paths_, run);
    files_.put_in_place();
    return std::move(submitted_);
  }

 private:
  std::int64_t record_run(const core::PlannedRun& planned) {
    db::RunStore runs(connection_);
    const std::optional<std::int64_t> known = runs.find_by_key(planned.spec.key);
    if (known) {
      runs.raise_priority(*known, planned.spec.priority);
      if (seen_.insert(*known).second) reuse(*known, planned);
      return *known;
    }
    const db::NewRun row = new_run(planned);
    const std::int64_t id = runs.insert(row, now_);
    seen_.insert(id);
    submitted_.runs.push_back(id);
    ++submitted_.created;
    created_directories_.push_back(id);
    create_directories_or_throw(paths_.run(id));
    write_spec(files_, paths_, id, row.spec);
    return id;
  }

  void reuse(std::int64_t id, const core::PlannedRun& planned) {
    db::RunStore runs(connection_);
    submitted_.runs.push_back(id);
    db::RetentionStore(connection_).set_archived(id, false);  // somebody wants to see it again
    const core::RunState state = runs.get(id).state;
    if (!core::is_live(state)) {
      nlohmann::json spec = runs.spec(id);
      spec["config"] = core::to_json(planned.spec.config);
      runs.update_spec(id, spec, resources_of(planned.spec.config));
      std::vector<std::string> depends_on = planned.spec.depends_on;
      if (const auto origin = core::origin_of(planned.spec.config)) depends_on.push_back(*origin);
      runs.set_dependencies(id, depends_on);
      write_spec(files_, paths_, id, spec);
    }
    const bool again = force_ && core::is_terminal(state);
    if (again) runs.requeue(id, true, "submitted again with --force", now_);
    ++(again ? submitted_.created : submitted_.reused);
  }

  db::Connection& connection_;
  const HomePaths& paths_;
  bool force_;
  core::TimePoint now_;
  std::vector<std::int64_t>& created_directories_;
  std::set<std::int64_t> seen_;
  FileBatch files_;
  Submitted submitted_;
};

}  // namespace

db::Resources resources_of(const core::RunConfig& config) {
  const core::ResourceConfig& r = config.resources;
  return {r.gpus,      r.timeout.count,      r.max_restarts, r.memory_gb,
          r.share_gpu, r.hang_timeout.count, r.halve_on_oom, core::field_json(config, "resources.launcher").get<std::string>()};
}

void require_resources(const core::Plan& plan, const std::string& source_name, const DevicesView& devices, bool slurm_by_default) {
  std::int64_t gpus = 0;
  int threads = 0;
  for (const DeviceView& device : devices.devices) {
    if (device.kind == "gpu") ++gpus;
    threads = std::max(threads, device.threads);
  }
  std::vector<core::Problem> problems;
  std::set<std::string> seen;
  const auto report = [&](const core::PlannedRun& run, const char* path, const std::string& message) {
    if (seen.insert(path + message).second)
      problems.push_back({path, 0, message + " (run " + run.spec.experiment + '/' + run.spec.name + ")"});
  };
  for (const core::PlannedRun& run : plan.runs) {
    const core::ResourceConfig& wanted = run.spec.config.resources;
    if (kind_wanted(resources_of(run.spec.config), gpus > 0, slurm_by_default) == DeviceKind::slurm) continue;
    if (wanted.gpus.value_or(0) > gpus) {
      report(run, "resources.gpus",
             "asks for " + std::to_string(*wanted.gpus) + " GPU, and this server has " + std::to_string(gpus) +
                 (devices.note.empty() ? "" : " (" + devices.note + ")") + "; write 0 for a CPU slot, or null for what there is");
    }
    if (wanted.cpus.value_or(0) > threads) {
      report(run, "resources.cpus",
             "asks for " + std::to_string(*wanted.cpus) + " threads, and the largest slot has " + std::to_string(threads) +
                 "; lower it, or start the daemon with fewer --cpu-slots");
    }
  }
  if (!problems.empty()) throw core::Error(core::ErrorKind::config, source_name, std::move(problems));
}

Submitted record_plan(db::Database& database, const HomePaths& paths, const core::Plan& plan, const std::string& source_name, bool force,
                      core::TimePoint now) {
  std::vector<std::int64_t> created_directories;
  try {
    return database.write([&](db::Connection& c) { return Recorder(c, paths, force, now, created_directories).record(plan, source_name); });
  } catch (...) {
    std::error_code ignored;
    for (const std::int64_t id : created_directories) std::filesystem::remove_all(paths.run(id), ignored);
    throw;
  }
}

void add_listings(FileBatch& files, db::Connection& connection, const HomePaths& paths, std::int64_t run_id) {
  db::ExperimentStore experiments(connection);
  nlohmann::json list = nlohmann::json::array();
  for (const db::MemberRow& member : experiments.listings(run_id))
    list.push_back(listing_to_json(experiments.get(member.experiment_id), member));
  const db::RunRow run = db::RunStore(connection).get(run_id);
  const nlohmann::json file = {{"queued_at", core::to_rfc3339(run.queued_at)},
                               {"priority", run.priority},
                               {"total_parameters", run.total_parameters},
                               {"active_parameters", run.active_parameters},
                               {"flops_per_token", run.flops_per_token},
                               {"tokens", run.tokens},
                               {"max_steps", run.max_steps},
                               {"waits_for", run.waits_for},
                               {"depends_on", db::RunStore(connection).dependencies(run_id)},
                               {"memory_key", run.memory_key},
                               {"archived", run.archived},
                               {"listings", list}};
  files.add(paths.listings(run_id), file.dump(2) + "\n");
}

void write_listings(db::Connection& connection, const HomePaths& paths, std::int64_t run_id) {
  FileBatch files;
  add_listings(files, connection, paths, run_id);
  files.put_in_place();
}

}  // namespace moelab::server
