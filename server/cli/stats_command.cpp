// moelab stats: the families of an experiment against their baseline, with the noise they stand in.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <set>

#include "core/error.h"
#include "core/number_text.h"
#include "server/cli/format.h"
#include "server/cli/lookup.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::string experiment, metric;
  bool as_json = false, as_csv = false;
};

// Five digits of the largest mean: 4.3159, 214.62, 9079.1.
int decimals_for(const json& families) {
  double largest = 0;
  for (const json& family : families) largest = std::max(largest, std::abs(number_or(family, "mean", 0)));
  return largest == 0 ? 4 : std::clamp(4 - static_cast<int>(std::floor(std::log10(largest))), 0, 8);
}

std::string plus_minus(const Terminal& terminal) {
  return terminal.unicode ? " \u00b1 " : " +- ";
}

std::string mean_text(const json& family, int decimals, const Terminal& terminal) {
  if (!has_number(family, "mean")) return "";
  const std::string mean = fixed(number_or(family, "mean", 0), decimals);
  return has_number(family, "sd") ? mean + plus_minus(terminal) + fixed(number_or(family, "sd", 0), decimals) : mean;
}

std::string delta_text(const json& delta, int decimals, const Terminal& terminal) {
  if (delta.is_null()) return "";
  const std::string mean = with_sign(number_or(delta, "mean", 0), decimals);
  if (delta.at("ci").is_null()) return mean;
  const double half = (number_or(delta.at("ci"), "high", 0) - number_or(delta.at("ci"), "low", 0)) / 2;
  return mean + plus_minus(terminal) + fixed(half, decimals);
}

std::string p_text(const json& delta) {
  if (delta.is_null() || !has_number(delta, "p")) return "";
  const double p = number_or(delta, "p", 1);
  return p < 0.0001 ? "<0.0001" : fixed(p, 4);
}

// Better and worse only where the noise allows a word on it.
Tone delta_tone(const json& family, const std::string& direction) {
  if (text_or(family, "verdict") != "distinguishable" || direction == "none") return Tone::plain;
  const bool lower = number_or(family.at("delta"), "mean", 0) < 0;
  return lower == (direction == "down") ? Tone::good : Tone::bad;
}

// "2 pruned, 1 diverged"
std::string excluded_text(const json& excluded) {
  std::string text;
  const auto add = [&text](const json& count, const std::string& what) {
    if (count != 0) text += (text.empty() ? "" : ", ") + count.dump() + " " + what;
  };
  for (const auto& [state, count] : excluded.at("not_completed").items()) add(count, state);
  add(excluded.at("diverged"), "diverged");
  add(excluded.at("without_metric"), "without this metric");
  add(excluded.at("archived"), "archived");
  return text;
}

bool has_several_baselines(const json& families) {
  std::set<std::string> names;
  for (const json& family : families) names.insert(text_or(family, "baseline"));
  names.erase("");
  return names.size() > 1;
}

Table people_table(const json& statistics, const Terminal& terminal) {
  Table table({{"family"},
               {"n", true},
               {"mean" + plus_minus(terminal) + "sd", true},
               {"delta" + plus_minus(terminal) + "ci/2", true},
               {"p", true},
               {"verdict"},
               {"against"},
               {"left out", false, true}});
  const json& families = statistics.at("families");
  const int decimals = decimals_for(families);
  const bool several = has_several_baselines(families);
  for (const json& family : families) {
    const bool baseline = family.at("is_baseline").get<bool>();
    const std::string verdict = text_or(family, "verdict");
    table.add({Cell(text_or(family, "family") + (baseline ? " *" : ""), baseline ? Tone::strong : Tone::plain), family.at("n").dump(),
               Cell(mean_text(family, decimals, terminal), Tone::strong),
               Cell(delta_text(family.at("delta"), decimals, terminal), delta_tone(family, text_or(statistics, "direction"))),
               p_text(family.at("delta")), Cell(text_or(family, "verdict_text"), verdict == "distinguishable" ? Tone::plain : Tone::faint),
               several && !baseline ? text_or(family, "baseline") : "", Cell(excluded_text(family.at("excluded")), Tone::warn)});
  }
  return table;
}

Table csv_table(const json& statistics) {
  Table table({{"family"},
               {"baseline"},
               {"members"},
               {"n"},
               {"mean"},
               {"sd"},
               {"ci_low"},
               {"ci_high"},
               {"pairs"},
               {"delta"},
               {"delta_sd"},
               {"delta_ci_low"},
               {"delta_ci_high"},
               {"p"},
               {"verdict"},
               {"left_out"}});
  const auto at = [](const json& object, const std::string& key) { return object.is_null() ? "" : plain(object.at(key)); };
  for (const json& family : statistics.at("families")) {
    const json& delta = family.at("delta");
    const json delta_ci = delta.is_null() ? json(nullptr) : delta.at("ci");
    const json& ci = family.at("ci");
    table.add({text_or(family, "family"), text_or(family, "baseline"), at(family, "members"), at(family, "n"), at(family, "mean"),
               at(family, "sd"), at(ci, "low"), at(ci, "high"), at(delta, "n"), at(delta, "mean"), at(delta, "sd"), at(delta_ci, "low"),
               at(delta_ci, "high"), at(delta, "p"), text_or(family, "verdict"), excluded_text(family.at("excluded"))});
  }
  return table;
}

std::string spread_text(const json& spread, const std::string& one, const std::string& many, int decimals, const std::string& unknown) {
  if (!has_number(spread, "sd")) return unknown;
  const double sd = number_or(spread, "sd", 0);
  // Equal to the bit reads "0"; a spread too small for the table's decimals must not.
  const bool vanishes = sd < 0.5 * std::pow(10, -decimals);
  return (vanishes ? significant(sd) : fixed(sd, decimals)) + " (pooled sd of " +
         core::counted(spread.at("groups").get<std::int64_t>(), one, many) + ", " + core::counted(spread.at("degrees").get<std::int64_t>(), "degree") + " of freedom)";
}

std::string heading(const json& statistics, const Terminal& terminal) {
  const std::string unit = text_or(statistics, "unit"), direction = text_or(statistics, "direction");
  const std::string better = direction == "down" ? "lower is better" : direction == "up" ? "higher is better" : "";
  std::string text = terminal.paint(Tone::strong, text_or(statistics, "experiment")) + "  " + text_or(statistics, "metric");
  const std::string meaning = unit + (unit.empty() || better.empty() ? "" : ", ") + better;
  if (!meaning.empty()) text += terminal.paint(Tone::faint, " (" + meaning + ")");
  const std::string baseline = text_or(statistics, "baseline");
  if (!baseline.empty()) text += terminal.paint(Tone::faint, "  delta against " + baseline + " (*), paired by seed");
  return text + "\n";
}

std::string footer(const json& statistics, const Terminal& terminal) {
  const int decimals = decimals_for(statistics.at("families"));
  const json& noise = statistics.at("noise");
  std::string text =
      "noise floor   " +
      spread_text(noise.at("seeds"), "family", "families", decimals, "unknown: no family has two completed seeds (seeds: [0, 1, 2])") +
      "\nrepeat noise  " +
      spread_text(noise.at("repeats"), "run", "runs", decimals, "unknown: no run was trained twice (moelab submit FILE --force)") + "\n";
  const json& diverged = noise.at("repeats").at("diverged");
  if (diverged != 0) text += "              " + core::counted(diverged.get<std::int64_t>(), "repeat") + " diverged\n";
  const std::string excluded = excluded_text(statistics.at("excluded"));
  if (!excluded.empty()) text += terminal.paint(Tone::warn, "left out      " + excluded) + "\n";
  return text + terminal.paint(Tone::faint, "ci: 95% by Student's t; p: paired t-test, not corrected for the number of families") + "\n";
}

int stats(const Options& options) {
  const Client client = Client::connect();
  const json experiment = find_experiment(client, options.experiment);
  std::string path = "/api/v1/experiments/" + experiment.at("id").dump() + "/statistics";
  if (!options.metric.empty()) path += "?metric=" + url_escape(options.metric);
  json statistics = client.get(path);
  statistics["experiment"] = experiment.at("name");
  if (options.as_json) {
    std::cout << statistics.dump(2) << "\n";
  } else if (options.as_csv) {
    std::cout << csv_table(statistics).csv();
  } else {
    const Terminal terminal = Terminal::of_stdout();
    std::cout << heading(statistics, terminal) << people_table(statistics, terminal).text(terminal) << footer(statistics, terminal);
  }
  return core::kExitDone;
}

}  // namespace

void add_stats_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("stats", "What is signal and what is noise: families of seeds against their baseline",
                             "  moelab stats a_load_balance\n  moelab stats a_load_balance --metric router/maxvio --csv",
                             [options] { return stats(*options); });
  verb.add_option("EXPERIMENT", options->experiment, "By name or id")->required();
  verb.add_option("--metric", options->metric, "Its latest value in every run; default eval/loss");
  auto* json_flag = verb.add_flag("--json", options->as_json, "As JSON");
  verb.add_flag("--csv", options->as_csv, "As CSV, in full precision")->excludes(json_flag);
}

}  // namespace moelab::server::cli
