#include "server/http/statistics_json.h"

#include "core/run_state.h"

namespace moelab::server::http {

namespace {

using nlohmann::json;

// Every number of the statistics is finite: values that are not were counted and left out.
json optional_json(const std::optional<double>& value) {
  return value ? json(*value) : json(nullptr);
}

json optional_json(const std::optional<Interval>& interval) {
  return interval ? json{{"low", interval->low}, {"high", interval->high}} : json(nullptr);
}

json exclusions_json(const Exclusions& excluded) {
  json states = json::object();
  for (const auto& [state, count] : excluded.not_completed) states[core::to_string(state)] = count;
  return {{"total", excluded.total()},
          {"not_completed", std::move(states)},
          {"diverged", excluded.diverged},
          {"without_metric", excluded.without_metric},
          {"archived", excluded.archived}};
}

json delta_json(const PairedDelta& delta) {
  return {{"n", delta.n},
          {"mean", delta.mean},
          {"sd", optional_json(delta.sd)},
          {"ci", optional_json(delta.ci)},
          {"p", optional_json(delta.p)}};
}

json family_json(const FamilyStatistics& family) {
  return {{"family", family.family},
          {"is_baseline", family.verdict == Verdict::baseline},
          {"baseline", family.baseline.empty() ? json(nullptr) : json(family.baseline)},
          {"members", family.members},
          {"n", family.n},
          {"mean", optional_json(family.mean)},
          {"sd", optional_json(family.sd)},
          {"ci", optional_json(family.ci)},
          {"delta", family.delta ? delta_json(*family.delta) : json(nullptr)},
          {"verdict", to_string(family.verdict)},
          {"verdict_text", verdict_text(family)},
          {"excluded", exclusions_json(family.excluded)}};
}

json spread_json(const PooledSpread& spread) {
  return {{"sd", optional_json(spread.sd)}, {"degrees", spread.degrees}, {"groups", spread.groups}, {"diverged", spread.diverged}};
}

}  // namespace

json to_json(const ExperimentStatistics& answer) {
  json families = json::array();
  for (const FamilyStatistics& family : answer.statistics.families) families.push_back(family_json(family));
  return {{"metric", answer.metric},
          {"unit", answer.unit},
          {"direction", core::to_string(answer.direction)},
          {"baseline", answer.baseline.empty() ? json(nullptr) : json(answer.baseline)},
          {"confidence", kConfidence},
          {"families", std::move(families)},
          {"noise", {{"seeds", spread_json(answer.statistics.seed_noise)}, {"repeats", spread_json(answer.statistics.repeat_noise)}}},
          {"excluded", exclusions_json(answer.statistics.excluded)}};
}

}  // namespace moelab::server::http
