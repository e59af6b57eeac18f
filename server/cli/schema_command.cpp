// moelab schema: every knob of experiments.yaml. Needs no daemon.
#include <iostream>

#include "core/error.h"
#include "core/field_io.h"
#include "core/nearest_name.h"
#include "server/cli/format.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::string prefix;
  bool as_json = false, as_csv = false;
};

json knobs(const std::string& prefix) {
  json chosen = json::array();
  std::vector<std::string> names = core::field_groups();
  for (const json& knob : core::schema_json()) {
    names.push_back(text_or(knob, "path"));
    const std::string path = text_or(knob, "path");
    if (prefix.empty() || path == prefix || path.starts_with(prefix + ".")) chosen.push_back(knob);
  }
  if (chosen.empty()) {
    throw core::Error(core::ErrorKind::not_found, "There is no knob or group '" + prefix + "'" + core::did_you_mean(prefix, names) + ".");
  }
  return chosen;
}

std::string values_text(const json& knob) {
  std::string text;
  if (knob.contains("choices") && knob.at("choices").is_array()) {
    for (const json& choice : knob.at("choices")) text += (text.empty() ? "" : " | ") + plain(choice);
    return text;
  }
  return text_or(knob, "type");
}

std::string default_text(const json& knob) {
  const json& value = knob.at("default");
  return value.is_number_float() ? full(value.get<double>()) : value.dump();
}

int schema(const Options& options) {
  const json chosen = knobs(options.prefix);
  if (options.as_json) {
    std::cout << chosen.dump(2) << "\n";
    return core::kExitDone;
  }
  Table table({{"knob"}, {"values"}, {"default"}, {"unit"}, {"meaning", false, true}});
  for (const json& knob : chosen) {
    table.add({Cell(text_or(knob, "path"), Tone::strong), values_text(knob), default_text(knob), text_or(knob, "unit"),
               Cell(text_or(knob, "doc"), Tone::faint)});
    if (options.as_csv || !knob.contains("choice_docs")) continue;
    for (const json& choice : knob.at("choices")) {
      const std::string name = choice.get<std::string>();
      table.add({Cell(""), Cell("  " + name), Cell(""), Cell(""), Cell(knob.at("choice_docs").at(name).get<std::string>(), Tone::faint)});
    }
  }
  std::cout << (options.as_csv ? table.csv() : table.text(Terminal::of_stdout()));
  return core::kExitDone;
}

}  // namespace

void add_schema_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb =
      verbs.add("schema", "Every knob of experiments.yaml with its values, default and meaning",
                "  moelab schema\n  moelab schema moe\n  moelab schema train.lr --json", [options] { return schema(*options); });
  verb.add_option("KNOB", options->prefix, "A knob or a group such as moe; default all");
  auto* json_flag = verb.add_flag("--json", options->as_json, "As JSON");
  verb.add_flag("--csv", options->as_csv, "As CSV")->excludes(json_flag);
}

}  // namespace moelab::server::cli
