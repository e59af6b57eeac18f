#include "server/http/lr_sweep_json.h"

#include <algorithm>

#include "core/json_number.h"
#include "core/nearest_name.h"

namespace moelab::server::http {

namespace {

using nlohmann::json;

json number_or_nothing(const std::optional<double>& value) {
  return value ? core::number_to_json(*value) : json();
}

json rate_json(const LrSweepRow& row) {
  return {{"rate", row.rate},
          {"run_id", row.run_id},
          {"state", core::to_string(row.state)},
          {"step", row.step},
          {"last_loss", number_or_nothing(row.last_loss)},
          {"smoothed_loss", number_or_nothing(row.smoothed_loss)},
          {"last_grad_norm", number_or_nothing(row.last_grad_norm)},
          {"diverged", row.diverged},
          {"note", row.note}};
}

}  // namespace

std::optional<core::LrSweep> read_lr_sweep_request(RequestBody& body) {
  static const std::vector<std::string> kKeys{"rates", "steps", "warmup"};
  const json value = body.value("lr_sweep");
  core::LrSweep sweep;
  if (value.is_null() || value == false) return std::nullopt;
  if (value == true) return sweep;
  if (!value.is_object()) {
    body.note("lr_sweep", "must be true, or an object with rates, steps and warmup");
    return std::nullopt;
  }
  for (const auto& [key, item] : value.items()) {
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      body.note("lr_sweep." + key, "is not known here" + core::did_you_mean(key, kKeys));
    } else if (key == "rates") {
      const bool fits = item.is_array() && std::all_of(item.begin(), item.end(), [](const json& rate) { return rate.is_number(); });
      if (fits) sweep.rates = item.get<std::vector<double>>();
      if (!fits) body.note("lr_sweep.rates", "must be a list of numbers");
    } else if (!item.is_number_integer() || item < 0 || item > 1'000'000'000) {
      body.note("lr_sweep." + key, "must be a whole number of steps");
    } else {
      (key == "steps" ? sweep.steps : sweep.warmup) = item.get<std::int64_t>();
    }
  }
  return sweep;
}

std::map<std::string, std::vector<std::string>> read_run_overrides(RequestBody& body) {
  std::map<std::string, std::vector<std::string>> overrides;
  const json value = body.value("run_overrides");
  if (value.is_null()) return overrides;
  const auto is_texts = [](const json& list) {
    return list.is_array() && std::all_of(list.begin(), list.end(), [](const json& text) { return text.is_string(); });
  };
  if (value.is_object() && std::all_of(value.begin(), value.end(), is_texts)) {
    for (const auto& [run, texts] : value.items()) overrides[run] = texts.get<std::vector<std::string>>();
  } else {
    body.note("run_overrides", "must be an object of EXPERIMENT/RUN names, each with a list of strings such as train.lr=1e-4");
  }
  return overrides;
}

json to_json(const LrSweepReport& report) {
  json variants = json::array();
  for (const LrSweepVariant& variant : report.variants) {
    json rates = json::array();
    for (const LrSweepRow& row : variant.rows) rates.push_back(rate_json(row));
    variants.push_back({{"name", variant.name},
                        {"complete", variant.complete},
                        {"best", variant.best ? json(*variant.best) : json()},
                        {"refusal", variant.refusal.empty() ? json() : json(variant.refusal)},
                        {"warnings", variant.warnings},
                        {"rates", rates}});
  }
  return {{"experiment", report.experiment},
          {"experiment_id", report.experiment_id},
          {"steps", report.steps},
          {"warmup", report.warmup},
          {"variants", variants}};
}

}  // namespace moelab::server::http
