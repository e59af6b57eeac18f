// moelab gpus, moelab health: what the daemon has and how it is.
#include <algorithm>
#include <iostream>

#include "core/error.h"
#include "core/nearest_name.h"
#include "core/number_text.h"
#include "server/cli/checks.h"
#include "server/cli/client.h"
#include "server/cli/format.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

// Its runs, and the sentence about it.
std::string holder(const json& device) {
  std::string text;
  for (const json& run : device.at("runs")) {
    text += (text.empty() ? "run " : ", run ") + run.at("id").dump() + " " + text_or(run, "name");
  }
  const std::string note = text_or(device, "note");
  return text.empty() || note.empty() ? text + note : text + "; " + note;
}

Tone device_tone(const std::string& state) {
  if (state == "free") return Tone::good;
  if (state == "leased") return Tone::active;
  return state == "disabled" ? Tone::faint : Tone::bad;
}

std::string memory_text(const json& device) {
  if (!has_number(device, "memory_total_mb")) return "";
  return gibibytes(number_or(device, "memory_used_mb", 0)) + " of " + gibibytes(number_or(device, "memory_total_mb", 0));
}

Table device_table(const json& devices) {
  Table table({{"device"}, {"state"}, {"name"}, {"threads", true}, {"memory", true}, {"load", true}, {"since"}, {"by", false, true}});
  for (const json& device : devices) {
    const std::string state = text_or(device, "state");
    table.add({Cell(text_or(device, "id"), Tone::strong), Cell(state, device_tone(state)), text_or(device, "name"),
               device.at("threads").dump(), memory_text(device),
               has_number(device, "utilization_pct") ? fixed(number_or(device, "utilization_pct", 0), 0) + "%" : "",
               text_or(device, "since"), holder(device)});
  }
  return table;
}

int gpus(bool as_json, bool as_csv) {
  const json answer = Client::connect().get("/api/v1/devices");
  if (as_json) {
    std::cout << answer.dump(2) << "\n";
    return core::kExitDone;
  }
  const Table table = device_table(answer.at("devices"));
  std::cout << (as_csv ? table.csv() : table.text(Terminal::of_stdout()));
  const std::string note = text_or(answer, "note");
  if (!note.empty() && !as_csv) std::cout << note << "\n";
  return core::kExitDone;
}

int health(bool as_json, bool only_url) {
  const Client client = Client::connect();
  const json answer = client.get("/api/v1/health");
  if (only_url) {
    std::cout << client.browser_url() << "\n";
    return core::kExitDone;
  }
  if (as_json) {
    std::cout << answer.dump(2) << "\n";
    return core::kExitDone;
  }
  std::string runs;
  for (const auto& [state, number] : answer.at("runs").items()) {
    if (number != 0) runs += (runs.empty() ? "" : ", ") + number.dump() + " " + state;
  }
  std::cout << "Moelab " << text_or(answer, "version") << " at " << client.url() << ", up "
            << duration(number_or(answer, "uptime_s", 0)) << ", home " << text_or(answer, "home") << "\n"
            << answer.at("devices").at("free") << " of " << core::counted(answer.at("devices").at("total").get<std::int64_t>(), "device")
            << " free; runs: " << (runs.empty() ? "none" : runs) << "\n";
  return core::kExitDone;
}

// A slip in the last name must not leave the first ones switched.
void require_devices(const Client& client, const std::vector<std::string>& ids) {
  const json answer = client.get("/api/v1/devices");
  std::vector<std::string> known;
  for (const json& device : answer.at("devices")) known.push_back(text_or(device, "id"));
  for (const std::string& id : ids) {
    if (std::find(known.begin(), known.end(), id) != known.end()) continue;
    throw core::Error(core::ErrorKind::not_found,
                      "There is no device '" + id + "'" + core::did_you_mean(id, known) + ". `moelab gpus` lists them.");
  }
}

void add_switch(Verbs& verbs, CLI::App& gpus_verb, const std::string& name, const std::string& summary, const std::string& examples) {
  auto devices = std::make_shared<std::vector<std::string>>();
  auto reason = std::make_shared<std::string>();
  CLI::App& verb = verbs.add_to(gpus_verb, name, summary, examples, [name, devices, reason] {
    const Client client = Client::connect();
    require_devices(client, *devices);
    for (const std::string& id : *devices) {
      const json device = client.post("/api/v1/devices/" + url_escape(id) + "/" + name,
                                      reason->empty() ? json::object() : json{{"reason", *reason}});
      const std::string note = text_or(device, "note");
      std::cout << text_or(device, "id") << ": " << text_or(device, "state") << (note.empty() ? "" : " - " + note) << "\n";
    }
    return core::kExitDone;
  });
  verb.add_option("DEVICE", *devices, "Ids as `moelab gpus` lists them: gpu0, cpu1")->required();
  if (name == "disable") verb.add_option("--reason", *reason, "Shown beside it")->check(one_line());
}

}  // namespace

void add_device_verbs(Verbs& verbs) {
  struct Options {
    bool as_json = false, as_csv = false, only_url = false;
  };
  auto devices = std::make_shared<Options>();
  auto verb = std::make_shared<CLI::App*>(nullptr);
  CLI::App& gpus_verb = verbs.add("gpus", "Devices: which are free, which run holds one, why one is not used",
                                  "  moelab gpus\n  moelab gpus --json\n  moelab gpus disable gpu0 --reason 'kept for the demo'",
                                  [&verbs, devices, verb] {
                                    // The callback of a sub-verb has run before.
                                    return (*verb)->get_subcommands().empty() ? gpus(devices->as_json, devices->as_csv) : verbs.code();
                                  });
  *verb = &gpus_verb;
  add_switch(verbs, gpus_verb, "enable", "Let runs have devices again that are disabled or in quarantine", "  moelab gpus enable gpu0");
  add_switch(verbs, gpus_verb, "disable", "Start nothing more on devices; a run that is on one goes on",
             "  moelab gpus disable gpu0 gpu1 --reason 'kept for the demo'");
  auto* json_flag = gpus_verb.add_flag("--json", devices->as_json, "As JSON");
  gpus_verb.add_flag("--csv", devices->as_csv, "As CSV")->excludes(json_flag);

  auto daemon = std::make_shared<Options>();
  CLI::App& health_verb =
      verbs.add("health", "Whether a daemon answers, where, and what it has to do", "  moelab health\n  moelab health --url",
                [daemon] { return health(daemon->as_json, daemon->only_url); });
  auto* url_flag = health_verb.add_flag("--url", daemon->only_url, "Print the dashboard's address only");
  health_verb.add_flag("--json", daemon->as_json, "As JSON")->excludes(url_flag);
}

}  // namespace moelab::server::cli
