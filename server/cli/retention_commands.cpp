// moelab delete, moelab gc.
#include <cstdint>
#include <iostream>

#include "core/error.h"
#include "core/number_text.h"
#include "server/cli/checks.h"
#include "server/cli/format.h"
#include "server/cli/lookup.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"
#include "server/retention/disk_guard.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct DeleteOptions {
  std::vector<std::string> runs;
  std::string experiment;
  bool as_json = false;
};

int remove(const DeleteOptions& options) {
  if (options.runs.empty() == options.experiment.empty()) {
    throw core::Error(core::ErrorKind::usage, "Name the runs to delete, or one experiment with --experiment.");
  }
  const Client client = Client::connect();
  json answer;
  if (options.experiment.empty()) {
    json ids = json::array();
    for (const std::string& name : options.runs) ids.push_back(find_run(client, name).at("id"));
    answer = client.post("/api/v1/runs/delete", {{"ids", ids}});
  } else {
    const json experiment = find_experiment(client, options.experiment);
    answer = client.post("/api/v1/experiments/" + experiment.at("id").dump() + "/delete", json::object());
  }
  if (options.as_json) {
    std::cout << answer.dump(2) << "\n";
    return core::kExitDone;
  }
  const auto deleted = static_cast<std::int64_t>(answer.at("deleted").size()), kept = static_cast<std::int64_t>(answer.at("kept").size());
  std::cout << core::counted(deleted, "run") << " deleted, with " << (deleted == 1 ? "its" : "their") << " files.";
  if (kept > 0) std::cout << " " << core::counted(kept, "is", "are") << " kept: another experiment lists " << (kept == 1 ? "it" : "them") << ".";
  std::cout << "\n";
  return core::kExitDone;
}

struct GcOptions {
  bool dry_run = false, as_json = false;
  std::uint64_t quota_bytes = 0;
  std::int64_t keep_checkpoints = 0;
  std::int64_t older_than_s = 0;
  CLI::Option *quota = nullptr, *keep = nullptr, *older = nullptr;
};

std::string describe(const json& report) {
  Table table({{"what"}, {"run", true}, {"size", true}, {"where"}, {"why", false, true}});
  for (const json& drop : report.at("drops")) {
    table.add({text_or(drop, "what"), plain(drop.at("run")), size_text(drop.at("bytes").get<std::uint64_t>()), text_or(drop, "path"),
               Cell(text_or(drop, "why"), Tone::faint)});
  }
  std::string text = table.empty() ? "Nothing to throw away.\n" : table.text(Terminal::of_stdout());
  for (const json& failed : report.at("failed")) text += "Stays: " + text_or(failed, "path") + ": " + text_or(failed, "why") + ".\n";
  for (const json& note : report.at("notes")) text += "Note: " + note.get<std::string>() + ".\n";
  const auto bytes = [&](const char* key) { return size_text(report.at(key).get<std::uint64_t>()); };
  const bool dry_run = report.at("dry_run").get<bool>();
  return text + bytes(dry_run ? "bytes_planned" : "bytes_freed") + " of " + bytes("bytes_before") +
         (dry_run ? " would be freed; nothing has been touched.\n" : " freed.\n");
}

int gc(const GcOptions& options) {
  json body = {{"dry_run", options.dry_run}};
  if (*options.quota) body["quota_bytes"] = options.quota_bytes;
  if (*options.keep) body["keep_checkpoints"] = options.keep_checkpoints;
  if (*options.older) body["older_than_s"] = options.older_than_s;
  const json report = Client::connect().post("/api/v1/gc", body);
  std::cout << (options.as_json ? report.dump(2) + "\n" : describe(report));
  return report.at("within_quota").get<bool>() && report.at("failed").empty() ? core::kExitDone : core::kExitStorage;
}

}  // namespace

void add_retention_verbs(Verbs& verbs) {
  auto removed = std::make_shared<DeleteOptions>();
  CLI::App& delete_verb = verbs.add(
      "delete", "Delete runs for good: their rows, metrics, checkpoints and journals",
      "  moelab delete 12 a1_lb_penalty\n  moelab delete --experiment a_load_balance    with its runs that no other experiment lists",
      [removed] { return remove(*removed); });
  delete_verb.add_option("RUN", removed->runs, "Ids, names, or EXPERIMENT/NAME; none may be training, or needed by one that is queued");
  delete_verb.add_option("-e,--experiment", removed->experiment, "This experiment and its runs");
  delete_verb.add_flag("--json", removed->as_json, "As JSON");

  auto options = std::make_shared<GcOptions>();
  CLI::App& gc_verb = verbs.add("gc", "Free space: leftovers, unused cache, checkpoints of ended runs beyond what they keep",
                                "  moelab gc --dry-run\n  moelab gc --quota 50GB    then also other checkpoints of ended runs, oldest first",
                                [options] { return gc(*options); });
  gc_verb.add_flag("--dry-run", options->dry_run, "Say what would go, and touch nothing");
  options->quota =
      gc_verb.add_option("--quota", options->quota_bytes, "Largest size of the home, in bytes or with a unit such as 50GB (10^9)")
          ->transform(size_in_bytes());
  options->keep = gc_verb.add_option("--keep-checkpoints", options->keep_checkpoints,
                                     "Newest checkpoints an ended run keeps, in place of its checkpoint.keep_last")
                      ->check(whole_number(0, 1'000'000));
  options->older =
      gc_verb.add_option("--older-than", options->older_than_s, "Age of unused cache entries that go, such as 12h; default 30d")
          ->transform(time_in_seconds());
  gc_verb.add_flag("--json", options->as_json, "As JSON");
}

}  // namespace moelab::server::cli
