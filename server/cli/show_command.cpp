// moelab show: everything about one run, or its series at full precision.
#include <iostream>

#include "core/error.h"
#include "server/cli/format.h"
#include "server/cli/lookup.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::string run;
  std::string series;
  bool config = false, as_json = false, as_csv = false;
};

void add_line(Table& table, const std::string& name, const std::string& value, Tone tone = Tone::plain) {
  if (!value.empty()) table.add({Cell(name, Tone::faint), Cell(value, tone)});
}

std::string outcome_text(const json& run) {
  std::string text = text_or(run, "state");
  if (!run.at("exit_code").is_null()) text += ", exit code " + run.at("exit_code").dump();
  if (!run.at("signal").is_null()) text += ", signal " + run.at("signal").dump();
  const std::string reason = text_or(run, "reason");
  return reason.empty() ? text : text + ": " + reason;
}

std::string names_text(const json& run) {
  std::string text;
  for (const json& alias : run.at("aliases")) {
    text += (text.empty() ? "" : ", ") + alias.at("experiment").get<std::string>() + "/" + alias.at("name").get<std::string>();
  }
  return text;
}

// Two columns without a title line.
std::string pairs_text(const Table& table, const Terminal& terminal) {
  const std::string text = table.text(terminal);
  return text.substr(text.find('\n') + 1);
}

std::string overview(const json& run, const Terminal& terminal) {
  Table table({{""}, {"", false, true}});
  add_line(table, "run", text_or(run, "name") + " (id " + run.at("id").dump() + ")", Tone::strong);
  add_line(table, "listed as", names_text(run));
  add_line(table, "state", outcome_text(run), tone_of(text_or(run, "state")));
  add_line(table, "step", run.at("step").dump() + (run.at("max_steps").is_null() ? "" : " of " + run.at("max_steps").dump()));
  add_line(table, "attempt", run.at("attempt").dump());
  add_line(table, "device", text_or(run, "device"));
  add_line(table, "size",
           millions(run.at("total_parameters").get<double>(), 3) + " parameters, " +
               millions(run.at("active_parameters").get<double>(), 3) + " active");
  add_line(table, "baseline", text_or(run, "baseline"));
  add_line(table, "varies", knobs_text(run.at("varied")));
  add_line(table, "started", text_or(run, "started_at"));
  add_line(table, "finished", text_or(run, "finished_at"));
  add_line(table, "runtime", duration(number_or(run, "runtime_s", 0)));
  add_line(table, "key", text_or(run, "key"));
  add_line(table, "directory", text_or(run, "run_dir"));
  add_line(table, "notes", text_or(run, "notes"));
  return pairs_text(table, terminal);
}

std::string section(const std::string& title, const std::string& text, const Terminal& terminal) {
  return text.empty() ? "" : "\n" + terminal.paint(Tone::strong, title) + "\n" + text;
}

std::string metrics_text(const json& run, const Terminal& terminal) {
  Table table({{"metric"}, {"latest", true}});
  for (const auto& [name, value] : run.at("metrics").items()) table.add({name, plain(value)});
  return table.text(terminal);
}

std::string history_text(const json& run, const Terminal& terminal) {
  Table table({{"time"}, {"state"}, {"reason", false, true}});
  for (const json& event : run.at("events")) {
    const std::string to = text_or(event, "to");
    table.add({text_or(event, "time"), Cell(to, tone_of(to)), text_or(event, "reason")});
  }
  return table.text(terminal);
}

std::string alerts_text(const json& run, const Terminal& terminal) {
  Table table({{"time"}, {"step", true}, {"alert"}, {"message", false, true}});
  for (const json& alert : run.at("alerts")) {
    table.add({text_or(alert, "time"), alert.at("step").dump(), Cell(text_or(alert, "code"), Tone::warn), text_or(alert, "message")});
  }
  return table.empty() ? "" : table.text(terminal);
}

std::string checkpoints_text(const json& run, const Terminal& terminal) {
  Table table({{"step", true}, {"path"}, {"best"}});
  for (const json& checkpoint : run.at("checkpoints")) {
    table.add({checkpoint.at("step").dump(), text_or(checkpoint, "path"), Cell(checkpoint.at("best").get<bool>() ? "best" : "")});
  }
  return table.text(terminal);
}

std::string artifacts_text(const json& run, const Terminal& terminal) {
  Table table({{"name"}, {"kind"}, {"path"}, {"bytes", true}});
  for (const json& artifact : run.at("artifacts")) {
    table.add({text_or(artifact, "name"), text_or(artifact, "kind"), text_or(artifact, "path"), artifact.at("bytes").dump()});
  }
  return table.text(terminal);
}

std::string config_text(const json& group, const std::string& prefix) {
  std::string text;
  for (const auto& [name, value] : group.items()) {
    text += value.is_object() ? config_text(value, prefix + name + ".") : prefix + name + ": " + value.dump() + "\n";
  }
  return text;
}

int show_series(const Client& client, const json& run, const Options& options) {
  const json answer = client.get(run_path(run) + "/metrics?max_points=0&keys=" + url_escape(options.series));
  if (options.as_json) {
    std::cout << answer.dump(2) << "\n";
    return core::kExitDone;
  }
  Table table({{"series"}, {"step", true}, {"value", true}});
  for (const json& series : answer.at("series")) {
    for (const json& point : series.at("points")) table.add({text_or(series, "key"), point.at(0).dump(), plain(point.at(1))});
  }
  if (table.empty()) {
    throw core::Error(core::ErrorKind::not_found,
                      "The run has no values of '" + options.series + "'. `moelab show " + options.run + "` lists its metrics.");
  }
  std::cout << (options.as_csv ? table.csv() : table.text(Terminal::of_stdout()));
  return core::kExitDone;
}

int show(const Options& options) {
  const Client client = Client::connect();
  const json run = find_run(client, options.run);
  if (!options.series.empty()) return show_series(client, run, options);
  if (options.as_csv) throw core::Error(core::ErrorKind::usage, "--csv needs --series KEY: a run is no table. Use --json.");
  if (options.as_json) {
    std::cout << run.dump(2) << "\n";
    return core::kExitDone;
  }
  const Terminal terminal = Terminal::of_stdout();
  std::cout << overview(run, terminal) << section("Metrics", metrics_text(run, terminal), terminal)
            << section("Alerts", alerts_text(run, terminal), terminal) << section("Checkpoints", checkpoints_text(run, terminal), terminal)
            << section("Artifacts", artifacts_text(run, terminal), terminal) << section("History", history_text(run, terminal), terminal);
  if (options.config) std::cout << section("Configuration", config_text(run.at("config"), ""), terminal);
  return core::kExitDone;
}

}  // namespace

void add_show_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("show", "Everything about one run, or its series at full precision",
                             "  moelab show a1_lb_penalty\n  moelab show 12 --config\n  moelab show 12 --series train/loss,eval/loss --csv",
                             [options] { return show(*options); });
  verb.add_option("RUN", options->run, "Id, name, or EXPERIMENT/NAME")->required();
  verb.add_option("--series", options->series, "Comma-separated metrics: every point, full precision");
  verb.add_flag("--config", options->config, "Print every knob too");
  auto* json_flag = verb.add_flag("--json", options->as_json, "As JSON");
  verb.add_flag("--csv", options->as_csv, "With --series: as CSV")->excludes(json_flag);
}

}  // namespace moelab::server::cli
