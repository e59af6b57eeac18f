#include "server/rebuild.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/event.h"
#include "core/run_spec.h"
#include "db/database.h"
#include "db/experiment_store.h"
#include "db/notice_store.h"
#include "db/webhook_store.h"
#include "db/retention_store.h"
#include "server/file_io.h"
#include "server/home_lock.h"
#include "server/ingest.h"
#include "server/listing_json.h"
#include "server/outcome.h"
#include "server/process_info.h"
#include "server/submission.h"

namespace moelab::server {
namespace {

using core::RunState;

std::vector<std::int64_t> run_ids(const HomePaths& paths) {
  std::vector<std::int64_t> ids;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(paths.runs(), missing)) {
    const std::string name = entry.path().filename().string();
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (error == std::errc{} && end == name.data() + name.size() && id > 0 && std::filesystem::exists(paths.spec(id))) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

void insert_run(db::Connection& c, const HomePaths& paths, std::int64_t id) {
  const std::string source = paths.spec(id).string();
  const nlohmann::json json = nlohmann::json::parse(read_file(paths.spec(id)));
  const core::RunSpec spec = core::run_spec_from_json(json, source);
  const nlohmann::json listed = nlohmann::json::parse(read_file(paths.listings(id)));
  db::NewRun run;
  run.id = id;
  run.key = spec.key;
  run.matrix = spec.matrix;
  run.name = spec.name;
  run.spec = json;
  run.seed = spec.config.seed;
  run.total_parameters = listed.at("total_parameters").get<std::int64_t>();
  run.active_parameters = listed.at("active_parameters").get<std::int64_t>();
  run.flops_per_token = listed.at("flops_per_token").get<double>();
  run.tokens = listed.at("tokens").get<double>();
  run.max_steps = listed.at("max_steps").get<std::int64_t>();
  run.priority = listed.at("priority").get<int>();
  run.resources = resources_of(spec.config);
  run.waits_for = listed.value("waits_for", "");
  run.depends_on = listed.value("depends_on", std::vector<std::string>{});
  run.memory_key = listed.value("memory_key", "");
  db::RunStore(c).insert(run, core::from_rfc3339(listed.at("queued_at").get<std::string>()));
  db::RetentionStore(c).set_archived(id, listed.value("archived", false));
  db::ExperimentStore experiments(c);
  for (const nlohmann::json& listing : listed.at("listings")) {
    auto [experiment, member] = listing_from_json(listing);
    member.experiment_id = experiments.put(experiment);
    member.run_id = id;
    experiments.put_member(member);
  }
}

// Attempts and times, from the journal's first to its last event.
db::Restored read_history(const std::filesystem::path& journal) {
  db::Restored history;
  std::optional<core::TimePoint> attempt_start;
  std::ifstream in(journal, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    try {
      const core::Event event = core::decode(line);
      const core::TimePoint time = core::from_rfc3339(event.time);
      if (event.attempt > history.attempt) attempt_start.reset();
      history.attempt = std::max(history.attempt, event.attempt);
      if (!history.started_at) history.started_at = time;
      if (!attempt_start) {
        attempt_start = time;
      } else {
        history.runtime_ms += std::chrono::duration_cast<std::chrono::milliseconds>(time - history.finished_at.value_or(time)).count();
      }
      history.finished_at = time;
    } catch (const core::Error&) {
      continue;  // torn or foreign lines: ingest reports them
    }
  }
  return history;
}

void restore_state(db::Connection& c, std::int64_t id, db::Restored history, core::TimePoint now) {
  db::RunStore runs(c);
  const db::RunRow run = runs.get(id);
  const std::optional<db::FinalWord> word = runs.final_word(id, history.attempt);
  history.state = RunState::cancelled;
  history.reason = "the database was rebuilt; retry to go on";
  if (word && (word->status == "completed" || word->status == "pruned" || word->status == "failed")) {
    const db::AttemptEnd end = judge(run, Exit{}, word, {}, now);
    history.state = end.to;
    history.reason = end.reason;
  }
  runs.restore(id, history, now);
}

// Webhooks are in no journal: they come along as long as the old database can still be read. What the rebuild itself did to runs
// is no news to anybody.
void finish_notices(db::Database& fresh, const std::filesystem::path& old) {
  std::vector<db::WebhookRow> webhooks;
  if (std::filesystem::exists(old)) {
    try {
      db::Connection connection(old, db::Connection::Mode::read);
      webhooks = db::WebhookStore(connection).all();
    } catch (const std::exception& e) {
      spdlog::warn("the webhooks of the old database cannot be read ({}): add them again with `moelab webhook add`", e.what());
    }
  }
  fresh.write([&](db::Connection& c) {
    db::NoticeStore notices(c);
    notices.drop_up_to(notices.last_id());
    for (db::WebhookRow& webhook : webhooks) {
      webhook.after_notice = notices.last_id();
      db::WebhookStore(c).add(webhook);
    }
  });
}

void move_with_wal(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::filesystem::remove(to.string() + suffix);
    if (std::filesystem::exists(from.string() + suffix)) std::filesystem::rename(from.string() + suffix, to.string() + suffix);
  }
}

}  // namespace

bool has_runs_on_disk(const HomePaths& paths) {
  return !run_ids(paths).empty();
}

Rebuilt rebuild_database(const HomePaths& paths, const core::Clock& clock) {
  const std::vector<std::int64_t> ids = run_ids(paths);
  for (const std::int64_t id : ids) {
    if (const std::optional<std::int64_t> pid = find_worker(paths.run(id).string())) {
      throw core::Error(core::ErrorKind::conflict, "process " + std::to_string(*pid) + " still trains run " + std::to_string(id) +
                                                       "; stop it (kill " + std::to_string(*pid) + ") and rebuild again");
    }
  }
  Rebuilt result;
  const std::filesystem::path fresh = paths.database().string() + ".new";
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(fresh.string() + suffix);
  {
    db::Database database(fresh);
    EventBus nobody;
    Ingest ingest(database, paths, clock, nobody);
    for (const std::int64_t id : ids) {
      try {
        database.write([&](db::Connection& c) { insert_run(c, paths, id); });
      } catch (const std::exception& e) {
        spdlog::warn("{} is left out: {}", paths.run(id).string(), e.what());
        ++result.skipped;
        continue;
      }
      ingest.drain(id);
      const db::Restored history = read_history(paths.journal(id));
      database.write([&](db::Connection& c) { restore_state(c, id, history, clock.now()); });
      ++result.runs;
    }
    finish_notices(database, paths.database());
  }
  if (std::filesystem::exists(paths.database())) {
    result.old_database = paths.database().string() + ".old";
    move_with_wal(paths.database(), result.old_database);
  }
  move_with_wal(fresh, paths.database());
  return result;
}

Rebuilt rebuild_home(const std::filesystem::path& home) {
  const HomeLock lock(home);
  return rebuild_database(HomePaths(home), core::SystemClock());
}

}  // namespace moelab::server
