#include "server/cli/lookup.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/nearest_name.h"

namespace moelab::server::cli {

namespace {

using core::Error;
using core::ErrorKind;
using nlohmann::json;

constexpr std::size_t kPage = 1000;

bool is_id(const std::string& text) {
  return !text.empty() && text.size() <= 15 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

// Every way to name a listing of the run.
bool has_name(const json& run, const std::string& text) {
  const auto matches = [&](const std::string& experiment, const std::string& name) {
    return name == text || experiment + "/" + name == text;
  };
  if (matches(run.value("experiment", ""), run.value("name", ""))) return true;
  const json& aliases = run.at("aliases");
  return std::any_of(aliases.begin(), aliases.end(),
                     [&](const json& alias) { return matches(alias.value("experiment", ""), alias.value("name", "")); });
}

std::string describe(const json& run) {
  return run.at("id").dump() + " (" + run.value("experiment", "") + "/" + run.value("name", "") + ")";
}

Error ambiguous(const std::string& noun, const std::string& text, const std::vector<std::string>& candidates) {
  std::string all;
  for (const std::string& candidate : candidates) all += (all.empty() ? "" : ", ") + candidate;
  return Error(ErrorKind::conflict, "'" + text + "' names several " + noun + ": " + all + ". Give the id.");
}

}  // namespace

std::vector<json> list_runs(const Client& client, const std::string& filter, std::size_t limit) {
  std::vector<json> runs;
  std::string cursor;
  for (;;) {
    const std::size_t page = limit == 0 ? kPage : std::min(kPage, limit - runs.size());
    std::string path = "/api/v1/runs?limit=" + std::to_string(page) + (filter.empty() ? "" : "&" + filter);
    if (!cursor.empty()) path += "&cursor=" + url_escape(cursor);
    const json answer = client.get(path);
    for (const json& run : answer.at("runs")) runs.push_back(run);
    if (answer.at("next_cursor").is_null() || (limit > 0 && runs.size() >= limit)) return runs;
    cursor = answer.at("next_cursor").get<std::string>();
  }
}

json find_run(const Client& client, const std::string& text) {
  if (is_id(text)) return client.get("/api/v1/runs/" + text);
  const std::string name = text.substr(text.rfind('/') + 1);
  std::vector<json> hits;
  for (json& run : list_runs(client, "archived=true&search=" + url_escape(name))) {
    const bool seen = std::any_of(hits.begin(), hits.end(), [&](const json& hit) { return hit.at("id") == run.at("id"); });
    if (!seen && has_name(run, text)) hits.push_back(std::move(run));
  }
  if (hits.size() == 1) return client.get(run_path(hits.front()));
  if (hits.size() > 1) {
    std::vector<std::string> candidates;
    for (const json& run : hits) candidates.push_back(describe(run));
    throw ambiguous("runs", text, candidates);
  }
  std::vector<std::string> names;
  for (const json& run : list_runs(client, "archived=true", kPage)) names.push_back(run.value("name", ""));
  throw Error(ErrorKind::not_found, "There is no run named '" + text + "'" + core::did_you_mean(text, names) + ". `moelab ls` lists them.");
}

json find_experiment(const Client& client, const std::string& text) {
  const json experiments = client.get("/api/v1/experiments?archived=true").at("experiments");
  std::vector<std::string> names, candidates;
  json hit;
  for (const json& experiment : experiments) {
    names.push_back(experiment.value("name", ""));
    if (is_id(text) && experiment.at("id").dump() == text) return experiment;
    if (experiment.value("name", "") != text) continue;
    hit = experiment;
    candidates.push_back(experiment.at("id").dump() + " (" + experiment.value("matrix", "") + ", profile '" +
                         experiment.value("profile", "") + "')");
  }
  if (candidates.size() == 1) return hit;
  if (candidates.size() > 1) throw ambiguous("experiments", text, candidates);
  throw Error(ErrorKind::not_found,
              "There is no experiment '" + text + "'" + core::did_you_mean(text, names) + ". `moelab ls --experiments` lists them.");
}

std::string run_path(const json& run) {
  return "/api/v1/runs/" + run.at("id").dump();
}

}  // namespace moelab::server::cli
