// moelab serve: the daemon with its REST interface and dashboard.
#include <iostream>
#include <optional>

#include "core/error.h"
#include "server/cli/checks.h"
#include "server/cli/daemon_options.h"
#include "server/cli/interrupt.h"
#include "server/cli/verbs.h"
#include "server/event_bus.h"
#include "server/http/auth.h"
#include "server/http/http_server.h"
#include "server/http/static_site.h"
#include "server/run_service.h"

namespace moelab::server::cli {

namespace {

struct Options {
  std::shared_ptr<DaemonOptions> daemon;
  std::string host;
  int port = http::kDefaultPort;
  std::string log_format = "text";
};

void greet(const http::HttpServer& server, const http::BindPolicy& policy, const AppOptions& app) {
  const std::string query = policy.token.empty() ? "/" : "/?token=" + policy.token;
  std::cout << "Dashboard: " << server.url() << query << "\n"
            << "Home: " << app.home.string() << "\n";
  if (!policy.token.empty()) {
    std::cout << "Listening on " << policy.host << ", so every request needs the token, kept in " << policy.token_file.string() << "\n";
  }
  std::cout << "Ctrl-C stops the daemon: workers checkpoint, and go on at the next start." << std::endl;
}

int serve(const Options& options) {
  log_to_stderr("info", options.log_format == "json" ? LogFormat::json : LogFormat::text);
  Interrupt::install();
  const AppOptions app_options = options.daemon->app();
  App app(app_options);
  const http::BindPolicy policy = http::bind_policy(options.host.empty() ? std::nullopt : std::optional(options.host), app_options.home);
  const http::HttpServer server(app.service(), app.webhooks(), app.bus(), app.metrics(),
                                {policy.host, options.port, policy.token, http::find_web_root()});
  app.announce(server.url(), policy.token_file);
  app.start();
  greet(server, policy, app_options);
  Interrupt::wait();
  std::cout << "Stopping: workers checkpoint and leave. Ctrl-C again ends the daemon at once; the workers then go on alone." << std::endl;
  app.stop();
  return core::kExitDone;
}

}  // namespace

void add_serve_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("serve", "Start the daemon: queue, workers, REST interface and dashboard",
                             "  moelab serve\n  moelab serve --port 8080 --cpu-slots 2\n"
                             "  moelab serve --host 0.0.0.0    other machines may connect; makes and prints a token",
                             [options] { return serve(*options); });
  options->daemon = add_daemon_options(verb);
  verb.add_option("--host", options->host, "Address to listen on; default 127.0.0.1, in a container 0.0.0.0");
  verb.add_option("--port", options->port, "Port; 0 = any free one")->check(whole_number(0, 65535))->capture_default_str();
  verb.add_option("--log-format", options->log_format, "Log lines on stderr: text, or json (one object a line)")
      ->check(one_of({"text", "json"}))
      ->capture_default_str();
}

}  // namespace moelab::server::cli
