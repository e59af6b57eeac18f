#include <map>
#include <string>
#include <vector>

#include "core/json_number.h"
#include "core/metric_catalog.h"
#include "db/alert_store.h"
#include "db/attempt_clock.h"
#include "db/file_store.h"
#include "db/load_store.h"
#include "db/metric_store.h"
#include "db/result_store.h"
#include "db/run_store.h"
#include "server/ingest.h"
#include "server/slurm/slurm_job.h"

namespace moelab::server {
namespace {

std::map<std::string, double> values_of(const nlohmann::json& payload) {
  std::map<std::string, double> values;
  for (const auto& [name, value] : payload.at("values").items()) values[name] = core::number_from_json(value);
  return values;
}

void apply_started(db::Connection& c, std::int64_t run, const core::Event& event, core::TimePoint now) {
  const auto resumed_from = event.payload.at("resumed_from_step").get<std::int64_t>();
  db::MetricStore(c).supersede(run, event.attempt, resumed_from);
  db::LoadStore(c).supersede(run, event.attempt, resumed_from);
  db::FileStore(c).supersede(run, event.attempt, resumed_from);
  db::RunStore runs(c);
  runs.set_attempt_started(run, event.attempt, event.payload, event.payload.value("max_steps", std::int64_t{0}),
                           event.payload.value("total_parameters", std::int64_t{0}),
                           event.payload.value("active_parameters", std::int64_t{0}), resumed_from);
  if (starts_in_slurm(runs.get(run))) db::restart_attempt_clock(c, run, now);
  runs.mark_running(run, now);
}

void apply_expert_load(db::Connection& c, std::int64_t run, const core::Event& event) {
  const nlohmann::json& p = event.payload;
  db::LoadStore(c).put(run, event.attempt,
                       {event.step, p.at("layers").get<std::vector<std::int64_t>>(), p.at("slots").get<std::int64_t>(),
                        p.at("experts").get<std::int64_t>(), p.at("counts").get<std::vector<std::int64_t>>()});
}

// The series keep one attempt only; what each completed one has reached stays, so that repeats can be compared.
void keep_result(db::Connection& c, std::int64_t run, int attempt) {
  std::map<std::string, double> values = db::MetricStore(c).latest(run);
  std::erase_if(values, [](const auto& entry) { return core::is_per_part(entry.first); });
  db::ResultStore(c).put_final_values(run, attempt, values);
}

}  // namespace

void apply_event(db::Connection& c, std::int64_t run, const core::Event& event, core::TimePoint now) {
  const nlohmann::json& p = event.payload;
  db::RunStore runs(c);
  switch (event.type) {
    case core::EventType::started:
      apply_started(c, run, event, now);
      break;
    case core::EventType::progress:
      runs.set_phase(run, p.at("phase").get<std::string>(), p.at("done").get<std::int64_t>(), p.at("total").get<std::int64_t>());
      break;
    case core::EventType::metrics:
    case core::EventType::eval:
      db::MetricStore(c).put(run, event.attempt, event.step, values_of(p));
      runs.set_step(run, event.step, core::from_rfc3339(event.time));
      break;
    case core::EventType::expert_load:
      apply_expert_load(c, run, event);
      break;
    case core::EventType::checkpoint:
      db::FileStore(c).put_checkpoint(run, event.attempt, {event.step, p.at("path").get<std::string>(), p.value("best", false)});
      runs.set_step(run, event.step, core::from_rfc3339(event.time));
      break;
    case core::EventType::artifact:
      db::FileStore(c).put_artifact(run,
                                    {p.at("name").get<std::string>(), p.at("kind").get<std::string>(), p.at("path").get<std::string>()});
      break;
    case core::EventType::finished:
      // A run stopped between two evaluations repeats the values of the last one, which are not those of its last step.
      if (p.at("status") == "completed" && p.contains("values"))
        db::MetricStore(c).put_missing(run, event.attempt, event.step, values_of(p));
      runs.set_final_word(run, event.attempt, {p.at("status").get<std::string>(), p.value("reason", ""), p.value("message", "")});
      if (p.at("status") == "completed") keep_result(c, run, event.attempt);
      break;
    case core::EventType::alert:
      db::AlertStore(c).put(run, {event.attempt, event.seq, event.step, core::from_rfc3339(event.time), p.at("code").get<std::string>(),
                                  p.at("message").get<std::string>()});
      break;
    case core::EventType::log:
      break;  // for readers of the journal and of worker.log
  }
}

}  // namespace moelab::server
