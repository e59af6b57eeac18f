// moelab queue, hold, drain, release: the queue as a whole.
#include <iostream>

#include "core/error.h"
#include "server/cli/checks.h"
#include "server/cli/client.h"
#include "server/cli/format.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::string reason;
  int limit = 100;
  bool as_json = false, as_csv = false;
};

std::string describe(const json& queue) {
  const std::string mode = text_or(queue, "mode"), reason = text_or(queue, "reason");
  const std::string what = mode == "open"   ? "The queue is open"
                           : mode == "held" ? "The queue is on hold: nothing is started, what runs goes on"
                                            : "The server is drained: nothing is started, what runs checkpoints and goes back to the queue";
  return what + (reason.empty() ? "" : " (" + reason + ")") + ". " + queue.at("total").dump() + " queued, " + queue.at("live").dump() +
         " with a worker.";
}

Table queue_table(const json& runs) {
  Table table({{"#", true}, {"id", true}, {"run"}, {"experiment"}, {"priority", true}, {"waits for", false, true}});
  std::size_t place = 0;
  for (const json& run : runs) {
    const std::string waiting = text_or(run, "waiting");
    table.add({std::to_string(++place), run.at("id").dump(), Cell(text_or(run, "name"), Tone::strong), text_or(run, "experiment"),
               run.at("priority").dump(), waiting.empty() ? "its turn" : waiting});
  }
  return table;
}

int queue(const Options& options) {
  const json answer = Client::connect().get("/api/v1/queue?limit=" + std::to_string(options.limit));
  if (options.as_json) {
    std::cout << answer.dump(2) << "\n";
    return core::kExitDone;
  }
  const Table table = queue_table(answer.at("runs"));
  if (options.as_csv) {
    std::cout << table.csv();
    return core::kExitDone;
  }
  std::cout << describe(answer) << "\n";
  if (!table.empty()) std::cout << table.text(Terminal::of_stdout());
  return core::kExitDone;
}

int set_mode(const std::string& verb, const Options& options) {
  const json body = options.reason.empty() ? json::object() : json{{"reason", options.reason}};
  const json answer = Client::connect().post("/api/v1/queue/" + verb, body);
  std::cout << (options.as_json ? answer.dump(2) : describe(answer)) << "\n";
  return core::kExitDone;
}

}  // namespace

void add_queue_verbs(Verbs& verbs) {
  auto listed = std::make_shared<Options>();
  CLI::App& queue_verb = verbs.add("queue", "Who is next, and what each queued run waits for", "  moelab queue\n  moelab queue --json",
                                   [listed] { return queue(*listed); });
  queue_verb.add_option("-n,--limit", listed->limit, "Most runs to list")->check(whole_number(0, 1000))->capture_default_str();
  auto* json_flag = queue_verb.add_flag("--json", listed->as_json, "As JSON");
  queue_verb.add_flag("--csv", listed->as_csv, "As CSV")->excludes(json_flag);

  const std::pair<const char*, const char*> modes[] = {
      {"hold", "Start no more runs; those that run go on"},
      {"drain", "Start no more runs; those that run checkpoint and go back to the queue, so that the machine is free"},
      {"release", "Start runs again after hold or drain"}};
  for (const auto& [name, summary] : modes) {
    auto options = std::make_shared<Options>();
    CLI::App& verb = verbs.add(name, summary, std::string("  moelab ") + name,
                               [verb = std::string(name), options] { return set_mode(verb, *options); });
    if (std::string_view(name) != "release") {
      verb.add_option("--reason", options->reason, "For the people who wonder; shown with every run that waits")->check(one_line());
    }
    verb.add_flag("--json", options->as_json, "As JSON");
  }
}

}  // namespace moelab::server::cli
