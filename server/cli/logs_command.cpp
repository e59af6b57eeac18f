// moelab logs: what a worker said.
#include <iostream>

#include "core/error.h"
#include "server/cli/checks.h"
#include "server/cli/lookup.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

struct Options {
  std::string run;
  std::int64_t tail = 200;
  bool follow = false, as_json = false;
};

int logs(const Options& options) {
  const Client client = Client::connect();
  const std::string path = run_path(find_run(client, options.run)) + "/logs?tail=" + std::to_string(options.tail);
  if (options.follow) {
    client.follow(path + "&follow=1", [](const std::string& event, const std::string& line) {
      if (event == "end") return false;
      std::cout << line << std::endl;
      return true;
    });
    return core::kExitDone;
  }
  const nlohmann::json answer = client.get(path);
  if (options.as_json) {
    std::cout << answer.dump(2) << "\n";
    return core::kExitDone;
  }
  for (const nlohmann::json& line : answer.at("lines")) std::cout << line.get<std::string>() << "\n";
  return core::kExitDone;
}

}  // namespace

void add_logs_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("logs", "Print a worker's output", "  moelab logs a1_lb_penalty --tail 50\n  moelab logs 12 -f",
                             [options] { return logs(*options); });
  verb.add_option("RUN", options->run, "Id, name, or EXPERIMENT/NAME")->required();
  verb.add_option("--tail", options->tail, "Last lines to print")->check(whole_number(0, 10'000));
  auto* follow = verb.add_flag("-f,--follow", options->follow, "Go on until the run has ended");
  verb.add_flag("--json", options->as_json, "As JSON")->excludes(follow);
}

}  // namespace moelab::server::cli
