// moelab run: a whole matrix without a daemon. Brings its own, with the dashboard on a free port of this machine.
#include <iostream>

#include "core/error.h"
#include "server/cli/client.h"
#include "server/cli/daemon_options.h"
#include "server/cli/interrupt.h"
#include "server/cli/result_tables.h"
#include "server/cli/submission.h"
#include "server/cli/verbs.h"
#include "server/cli/watch.h"
#include "server/event_bus.h"
#include "server/http/http_server.h"
#include "server/http/static_site.h"
#include "server/run_service.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::shared_ptr<DaemonOptions> daemon;
  std::shared_ptr<Submission> submission;
  bool as_json = false;
};

// Nothing would ever start, and there is no daemon that somebody could tell to.
void refuse_closed_queue(App& app) {
  const QueueMode mode = app.service().queue(0).mode;
  if (mode.kind == QueueMode::Kind::open) return;
  throw core::Error(core::ErrorKind::conflict,
                    "the queue of " + app.home().string() + " is " + to_string(mode.kind) + (mode.reason.empty() ? "" : " (" + mode.reason + ")") +
                        ". Start `moelab serve` and say `moelab release`, or use another home with --home");
}

// Whoever says `run` wants it trained now, also what was paused before.
void resume_paused(const Client& client, const json& runs) {
  json ids = json::array();
  for (const json& run : runs) {
    if (run.at("state") == "paused") ids.push_back(run.at("id"));
  }
  if (!ids.empty()) client.post("/api/v1/runs/resume", {{"ids", ids}});
}

int run(const Options& options) {
  log_to_stderr("warn");
  AppOptions app_options = options.daemon->app();
  app_options.slurm.leave_at_stop = false;  // what it began ends with it
  // A wrong matrix is refused before a home is made or a worker is looked for.
  const core::Plan plan = core::make_plan(plan_request(*options.submission, app_options.home / "cache"));
  core::require_data(plan, options.submission->file);
  const json body = submission_body(*options.submission);
  Interrupt::install();
  App app(app_options);
  const http::HttpServer server(app.service(), app.webhooks(), app.bus(), app.metrics(), {"127.0.0.1", 0, "", http::find_web_root()});
  const Client client(server.url(), "");
  refuse_closed_queue(app);
  const json submitted = client.post("/api/v1/experiments", body);
  resume_paused(client, submitted.at("runs"));
  app.announce(server.url(), "");
  app.start();
  if (!options.as_json)
    std::cout << describe_submission(submitted) << "Dashboard while it trains: " << server.url() << "\n\n" << std::flush;

  Watch watch(client, submitted.at("runs").get<std::vector<json>>());
  if (!watch_until_done(watch, !options.as_json)) {
    std::cerr << "Stopping: workers checkpoint and leave; Ctrl-C again ends at once. The same command goes on from there.\n";
    app.stop();
    return core::kExitInterrupted;
  }
  if (options.as_json) {
    std::cout << json(watch.runs()).dump(2) << "\n";
  } else {
    std::cout << "\n" << results_text(client, submitted.at("experiments"), Terminal::of_stdout());
  }
  app.stop();
  return watch.exit_code();
}

}  // namespace

void add_run_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb =
      verbs.add("run", "Train a matrix here and now, without a daemon, and print the result table",
                "  moelab run experiments.yaml --profile demo\n  moelab run experiments.yaml --only a_load_balance --cpu-slots 2",
                [options] { return run(*options); });
  options->submission = add_submission_options(verb);
  verb.add_flag("--force", options->submission->force, "Train runs that have ended again, from step 0");
  options->daemon = add_daemon_options(verb);
  verb.add_flag("--json", options->as_json, "Print the runs as JSON at the end, nothing else");
}

}  // namespace moelab::server::cli
