#include "server/notice/event_payload.h"

#include <nlohmann/json.hpp>

#include <optional>

#include "core/json_number.h"
#include "db/experiment_store.h"
#include "db/metric_store.h"

namespace moelab::server {
namespace {

using Json = nlohmann::ordered_json;

// A message of a worker may hold any bytes; a body is always JSON.
std::string body_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<db::MemberRow> listing_of(db::Connection& c, db::RunId run, const std::string& experiment) {
  for (db::MemberRow& member : db::ExperimentStore(c).listings(run)) {
    if (experiment.empty() || member.experiment == experiment) return std::move(member);
  }
  return std::nullopt;
}

Json metrics_of(db::Connection& c, db::RunId run) {
  Json metrics = Json::object();
  const auto values = db::MetricStore(c).latest(run);
  if (const auto loss = values.find("eval/loss"); loss != values.end()) metrics["eval/loss"] = core::number_to_json(loss->second);
  return metrics;
}

Json run_json(db::Connection& c, const db::NoticeRow& n, const std::string& experiment) {
  const std::optional<db::MemberRow> listing = listing_of(c, n.run, experiment);
  const std::optional<db::RunRow> row = db::RunStore(c).find(n.run);
  const std::string remembered = n.experiments.empty() ? "" : n.experiments.front();
  Json run = {{"id", n.run},
              {"name", listing ? listing->name : n.name},
              {"experiment", listing ? listing->experiment : remembered},
              {"state", n.state},
              {"from", n.from_state.empty() ? Json(nullptr) : Json(n.from_state)},
              {"reason", n.type == "alert" ? "" : n.reason},
              {"attempt", n.attempt},
              {"step", n.step},
              {"max_steps", row && row->max_steps > 0 ? Json(row->max_steps) : Json(nullptr)},
              {"device", n.device.empty() ? Json(nullptr) : Json(n.device)},
              {"metrics", metrics_of(c, n.run)}};
  return run;
}

}  // namespace

std::string event_id(db::Connection& c, const db::NoticeRow& notice) {
  return db::NoticeStore(c).stream() + "-" + std::to_string(notice.id);
}

std::string event_payload(db::Connection& c, const db::NoticeRow& notice, const std::string& experiment) {
  Json payload = {{"event_id", event_id(c, notice)},
                  {"type", notice.type},
                  {"time", core::to_rfc3339(notice.time)},
                  {"run", run_json(c, notice, experiment)}};
  if (notice.type == "alert") payload["alert"] = {{"code", notice.code}, {"message", notice.reason}};
  return body_text(payload);
}

std::string test_payload(const std::string& event_id, core::TimePoint now) {
  return body_text({{"event_id", event_id}, {"type", "test"}, {"time", core::to_rfc3339(now)}, {"run", nullptr}});
}

}  // namespace moelab::server
