// moelab db rebuild: the database again, from the runs' own journals.
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/number_text.h"
#include "server/app.h"
#include "server/cli/verbs.h"
#include "server/rebuild.h"

namespace moelab::server::cli {

namespace {

int rebuild(const std::string& wished_home, bool as_json) {
  const std::filesystem::path home = wished_home.empty() ? default_home() : std::filesystem::absolute(wished_home).lexically_normal();
  const Rebuilt rebuilt = rebuild_home(home);
  if (as_json) {
    const nlohmann::json json = {{"runs", rebuilt.runs}, {"skipped", rebuilt.skipped}, {"old_database", rebuilt.old_database.string()}};
    std::cout << json.dump(2) << "\n";
    return core::kExitDone;
  }
  std::cout << "Rebuilt " << core::counted(rebuilt.runs, "run") << " from the journals.";
  if (rebuilt.skipped > 0) std::cout << " " << core::counted(rebuilt.skipped, "directory", "directories") << " could not be read.";
  if (!rebuilt.old_database.empty()) std::cout << " The old database is kept as " << rebuilt.old_database.string() << ".";
  std::cout << "\n";
  return core::kExitDone;
}

}  // namespace

void add_db_verb(Verbs& verbs) {
  struct Options {
    std::string home;
    bool as_json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App& group = verbs.add_group("db", "Look after the database");
  CLI::App& verb =
      verbs.add_to(group, "rebuild", "Rebuild the database of a home from its runs; no daemon may use the home",
                   "  moelab db rebuild\n  moelab db rebuild --home ./lab", [options] { return rebuild(options->home, options->as_json); });
  verb.add_option("--home", options->home, "Home directory; default MOELAB_HOME, else ~/.moelab");
  verb.add_flag("--json", options->as_json, "As JSON");
}

}  // namespace moelab::server::cli
