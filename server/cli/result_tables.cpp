#include "server/cli/result_tables.h"

#include <cmath>

#include "server/cli/format.h"
#include "server/cli/lookup.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

std::string value_text(const json& values, const std::string& key, int decimals, bool precise) {
  if (!has_number(values, key)) return "";
  const double value = number_or(values, key, NAN);
  return precise ? full(value) : fixed(value, decimals);
}

// A lower loss is better, so a negative delta is good.
Cell delta_cell(const json& row, const std::string& key, int decimals, const std::string& unit, bool precise) {
  if (!has_number(row, key)) return {};
  const double delta = number_or(row, key, NAN);
  const Tone tone = row.at("is_baseline").get<bool>() ? Tone::faint : delta < 0 ? Tone::good : delta > 0 ? Tone::bad : Tone::plain;
  return {precise ? full(delta) : with_sign(delta, decimals) + unit, tone};
}

std::string failures_text(const Client& client, const json& experiment, const Terminal& terminal) {
  std::string text;
  for (const json& run :
       list_runs(client, "experiment=" + experiment.at("id").dump() + "&state=failed,timed_out,out_of_memory,lost,skipped")) {
    text += "  " + terminal.paint(Tone::bad, text_or(run, "name") + " " + text_or(run, "state")) + ": " + text_or(run, "reason") +
            " (moelab logs " + run.at("id").dump() + ")\n";
  }
  return text;
}

}  // namespace

Table result_table(const json& table, bool precise) {
  Table out({{"run"},
             {"state"},
             {"eval/loss", true},
             {"delta", true},
             {"delta %", true},
             {"perplexity", true},
             {"train/loss", true},
             {"maxvio", true},
             {"tokens/s", true},
             {"runtime", true},
             {"params", true},
             {"active", true},
             {"varies", false, true}});
  for (const json& row : table.at("rows")) {
    const json& values = row.at("values");
    const bool baseline = row.at("is_baseline").get<bool>();
    const double tokens_per_sec = number_or(values, "perf/tokens_per_sec", 0);
    const double runtime_s = number_or(row, "runtime_s", 0);
    const double total = row.at("total_parameters").get<double>(), active = row.at("active_parameters").get<double>();
    const std::string state = text_or(row, "state");
    out.add({Cell(text_or(row, "name") + (baseline && !precise ? " *" : ""), baseline ? Tone::strong : Tone::plain),
             Cell(state, tone_of(state)), Cell(value_text(values, "eval/loss", 4, precise), Tone::strong),
             delta_cell(row, "delta", 4, "", precise), delta_cell(row, "delta_pct", 2, "", precise),
             value_text(values, "eval/perplexity", 2, precise), value_text(values, "train/loss", 4, precise),
             value_text(values, "router/maxvio", 3, precise),
             tokens_per_sec <= 0 ? ""
             : precise           ? full(tokens_per_sec)
                                 : count(tokens_per_sec),
             runtime_s <= 0 ? ""
             : precise      ? full(runtime_s)
                            : duration(runtime_s),
             precise ? full(total) : millions(total), precise ? full(active) : millions(active),
             Cell(knobs_text(row.at("varied")), Tone::faint)});
  }
  return out;
}

std::string results_text(const Client& client, const json& experiments, const Terminal& terminal) {
  std::string text;
  for (const json& experiment : experiments) {
    const json table = client.get("/api/v1/experiments/" + experiment.at("id").dump() + "/results");
    const std::string baseline = text_or(table, "baseline");
    text += terminal.paint(Tone::strong, text_or(experiment, "name"));
    const std::string profile = text_or(experiment, "profile");
    if (!profile.empty()) text += terminal.paint(Tone::faint, "  profile " + profile);
    if (!baseline.empty()) text += terminal.paint(Tone::faint, "  delta of eval/loss against " + baseline + " (*)");
    text += "\n" + result_table(table, false).text(terminal) + failures_text(client, experiment, terminal) + "\n";
  }
  return text;
}

}  // namespace moelab::server::cli
