// moelab compare: the knobs in which runs differ, and what they reached, side by side.
#include <algorithm>
#include <iostream>
#include <map>
#include <set>

#include "core/error.h"
#include "server/cli/format.h"
#include "server/cli/lookup.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> runs;
  bool as_json = false, as_csv = false;
};

using Row = std::vector<json>;  // a value for each run, null where it has none

void flatten(const json& group, const std::string& prefix, std::map<std::string, json>& knobs) {
  for (const auto& [name, value] : group.items()) {
    // A map such as data.domains is one knob, but its parts are what people compare.
    if (value.is_object() && !value.empty()) {
      flatten(value, prefix + name + ".", knobs);
    } else {
      knobs[prefix + name] = value;
    }
  }
}

std::map<std::string, Row> differing_knobs(const std::vector<json>& runs) {
  std::map<std::string, Row> rows;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::map<std::string, json> knobs;
    flatten(runs[i].at("config"), "", knobs);
    for (auto& [path, value] : knobs) rows.try_emplace(path, runs.size()).first->second[i] = std::move(value);
  }
  std::erase_if(rows, [](const auto& entry) {
    return std::all_of(entry.second.begin(), entry.second.end(), [&](const json& value) { return value == entry.second.front(); });
  });
  return rows;
}

std::map<std::string, Row> metric_rows(const std::vector<json>& runs) {
  std::map<std::string, Row> rows;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const auto& [name, value] : runs[i].at("metrics").items()) rows.try_emplace(name, runs.size()).first->second[i] = value;
  }
  return rows;
}

// The run's name; with its experiment, or with its id, where that is needed to tell the runs apart.
std::vector<std::string> titles_of(const std::vector<json>& runs) {
  const auto all = [&](auto&& title) {
    std::vector<std::string> titles;
    for (const json& run : runs) titles.push_back(title(run));
    return titles;
  };
  const auto distinct = [](const std::vector<std::string>& titles) {
    return std::set<std::string>(titles.begin(), titles.end()).size() == titles.size();
  };
  std::vector<std::string> titles = all([](const json& run) { return text_or(run, "name"); });
  if (!distinct(titles)) titles = all([](const json& run) { return text_or(run, "experiment") + "/" + text_or(run, "name"); });
  if (!distinct(titles)) titles = all([](const json& run) { return text_or(run, "name") + " (" + run.at("id").dump() + ")"; });
  return titles;
}

Row field(const std::vector<json>& runs, const std::string& key) {
  Row row;
  for (const json& run : runs) row.push_back(run.at(key));
  return row;
}

Table comparison(const std::vector<json>& runs, bool precise) {
  std::vector<Column> columns{{""}};
  for (const std::string& title : titles_of(runs)) columns.push_back({title, true});
  Table table(columns);
  const auto add = [&](const std::string& name, const Row& row, Tone tone) {
    std::vector<Cell> cells{Cell(name, Tone::faint)};
    for (const json& value : row) {
      const bool rounded = !precise && value.is_number_float() && tone == Tone::strong;
      cells.emplace_back(rounded ? significant(value.get<double>()) : plain(value), tone);
    }
    table.add(std::move(cells));
  };
  add("id", field(runs, "id"), Tone::plain);
  add("state", field(runs, "state"), Tone::plain);
  for (const auto& [path, row] : differing_knobs(runs)) add(path, row, Tone::plain);
  for (const auto& [name, row] : metric_rows(runs)) add(name, row, Tone::strong);
  return table;
}

json comparison_json(const std::vector<json>& runs) {
  json list = json::array();
  for (const json& run : runs) {
    json entry = json::object();
    for (const char* key : {"id", "name", "experiment", "key", "state", "seed"}) entry[key] = run.at(key);
    list.push_back(std::move(entry));
  }
  return {{"runs", std::move(list)}, {"knobs", differing_knobs(runs)}, {"metrics", metric_rows(runs)}};
}

int compare(const Options& options) {
  const Client client = Client::connect();
  std::vector<json> runs;
  std::set<std::int64_t> ids;
  for (const std::string& text : options.runs) {
    runs.push_back(find_run(client, text));
    if (!ids.insert(runs.back().at("id").get<std::int64_t>()).second) {
      throw core::Error(core::ErrorKind::usage, "'" + text + "' is run " + runs.back().at("id").dump() +
                                                    ", which is named already: equal configurations train once and share a run.");
    }
  }
  if (options.as_json) {
    std::cout << comparison_json(runs).dump(2) << "\n";
  } else {
    const Table table = comparison(runs, options.as_csv);
    std::cout << (options.as_csv ? table.csv() : table.text(Terminal::of_stdout()));
  }
  return core::kExitDone;
}

}  // namespace

void add_compare_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("compare", "Runs side by side: the knobs in which they differ, their latest metrics",
                             "  moelab compare a0_no_lb a1_lb_penalty\n  moelab compare 3 4 5 --csv",
                             [options] { return compare(*options); });
  verb.add_option("RUN", options->runs, "Two or more, by id, name, or EXPERIMENT/NAME")->required()->expected(2, 100);
  auto* json_flag = verb.add_flag("--json", options->as_json, "As JSON");
  verb.add_flag("--csv", options->as_csv, "As CSV, in full precision")->excludes(json_flag);
}

}  // namespace moelab::server::cli
