#include "server/cli/cli.h"

#include <CLI/CLI.hpp>

#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/nearest_name.h"
#include "server/cli/terminal.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

void add_verbs(Verbs& verbs) {
  add_plan_verb(verbs);
  add_run_verb(verbs);
  add_serve_verb(verbs);
  add_submit_verb(verbs);
  add_sweep_verb(verbs);
  add_wait_verb(verbs);
  add_ls_verb(verbs);
  add_results_verb(verbs);
  add_stats_verb(verbs);
  add_compare_verb(verbs);
  add_show_verb(verbs);
  add_logs_verb(verbs);
  add_control_verbs(verbs);
  add_queue_verbs(verbs);
  add_retention_verbs(verbs);
  add_device_verbs(verbs);
  add_webhook_verbs(verbs);
  add_worker_verbs(verbs);
  add_model_verbs(verbs);
  add_schema_verb(verbs);
  add_db_verb(verbs);
}

// The innermost verb that was recognised; the program itself when none was.
const CLI::App& called(const CLI::App& app) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App* one) { return one->parsed(); })) return called(*sub);
  return app;
}

std::string full_name(const CLI::App& verb) {
  return verb.get_parent() ? full_name(*verb.get_parent()) + " " + verb.get_name() : "moelab";
}

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& verb) {
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& verb = called(app);
  const std::vector<std::string> extras = app.remaining(true);
  if (!extras.empty()) {
    const std::string& first = extras.front();
    if (first.starts_with("-")) {
      const std::string name = first.substr(0, first.find('='));
      return name + " is no option of `" + full_name(verb) + "`" + core::did_you_mean(name, option_names(verb));
    }
    if (!verb_names(verb).empty())
      return "'" + first + "' is no verb of `" + full_name(verb) + "`" + core::did_you_mean(first, verb_names(verb));
    return "'" + first + "' is one argument too many for `" + full_name(verb) + "`";
  }
  return error.what();
}

int usage_error(const CLI::App& app, const CLI::ParseError& error) {
  std::cerr << "moelab: " << explain(app, error) << ". See `" << full_name(called(app)) << " --help`.\n";
  return core::kExitUsage;
}

int parse_and_run(CLI::App& app, const Verbs& verbs, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return verbs.code();
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    if (argc < 2) {
      std::cerr << app.help();
      return core::kExitUsage;
    }
    return usage_error(app, error);
  }
}

}  // namespace

int run(int argc, char** argv) {
  const Terminal terminal = Terminal::of_stderr();
  try {
    CLI::App app{"Mixture-of-experts ablations: plan a matrix, train it, compare the results."};
    app.name("moelab");
    app.set_version_flag("--version", std::string(MOELAB_CODE_VERSION));
    app.require_subcommand(1);
    app.footer(
        "Examples:\n  moelab plan experiments.yaml --profile demo    what would train, and what it costs\n"
        "  moelab run experiments.yaml --profile demo     train it here and now, print the result table\n"
        "  moelab serve                                   start the daemon and the dashboard\n"
        "Exit codes: 0 done, 1 a run failed, 2 usage or configuration, 3 daemon unreachable, 4 not found or conflict,\n"
        "5 storage, 130 interrupted. Environment: MOELAB_URL, MOELAB_TOKEN, MOELAB_HOME.");
    Verbs verbs(app);
    add_verbs(verbs);
    return parse_and_run(app, verbs, argc, argv);
  } catch (const core::Error& error) {
    std::cerr << terminal.paint(Tone::bad, "moelab:") << " " << error.what() << "\n";
    return core::exit_code(error.kind());
  } catch (const std::exception& error) {
    std::cerr << terminal.paint(Tone::bad, "moelab:") << " internal error: " << error.what() << "\n";
    return core::kExitRunFailed;
  }
}

}  // namespace moelab::server::cli
