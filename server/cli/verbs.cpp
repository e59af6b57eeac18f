#include "server/cli/verbs.h"

namespace moelab::server::cli {

CLI::App& Verbs::add(const std::string& name, const std::string& summary, const std::string& examples, std::function<int()> action) {
  return add_to(app_, name, summary, examples, std::move(action));
}

CLI::App& Verbs::add_group(const std::string& name, const std::string& summary) {
  CLI::App& group = *app_.add_subcommand(name, summary);
  group.require_subcommand(1);
  return group;
}

CLI::App& Verbs::add_to(CLI::App& group, const std::string& name, const std::string& summary, const std::string& examples,
                        std::function<int()> action) {
  CLI::App& verb = *group.add_subcommand(name, summary);
  if (!examples.empty()) verb.footer("Examples:\n" + examples + "\n");
  verb.callback([this, action = std::move(action)] { code_ = action(); });
  return verb;
}

}  // namespace moelab::server::cli
