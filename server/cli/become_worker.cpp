#include "server/cli/become_worker.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "server/cli/format.h"
#include "server/cli/lookup.h"

namespace moelab::server::cli {

namespace fs = std::filesystem;

int become_worker(const std::vector<std::string>& arguments) {
  std::error_code unreadable;
  const fs::path worker = fs::read_symlink("/proc/self/exe", unreadable).parent_path() / "moelab-worker";
  std::vector<std::string> all = {worker.string()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(worker.c_str(), argv.data());
  throw core::Error(core::ErrorKind::config,
                    "Cannot start " + worker.string() + " (" + std::strerror(errno) + "): build it with scripts/build.sh.");
}

void pass_on(const CLI::App& verb, const std::vector<std::string>& names, std::vector<std::string>& arguments) {
  for (const std::string& name : names) {
    const CLI::Option* option = verb.get_option(name);
    if (option->count() == 0) continue;
    if (option->get_items_expected_max() == 0) {
      arguments.push_back(name);
      continue;
    }
    for (const std::string& value : option->results()) {
      arguments.push_back(name);
      arguments.push_back(value);
    }
  }
}

std::string model_directory(const std::string& from) {
  std::error_code missing;
  if (fs::is_directory(from, missing)) return fs::absolute(from).string();
  return text_or(find_run(Client::connect(), from), "run_dir");
}

}  // namespace moelab::server::cli
