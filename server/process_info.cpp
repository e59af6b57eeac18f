#include "server/process_info.h"

#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace moelab::server {
namespace {

constexpr std::size_t kMaxCommand = 200;

std::string slurp(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string user_name(unsigned uid) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found) return found->pw_name;
  return std::to_string(uid);
}

// "oom_kill 3" in a file of "key value" lines.
std::optional<std::int64_t> counter(const std::string& file, const std::string& key) {
  std::ifstream in(file);
  std::string name;
  for (std::int64_t value = 0; in >> name >> value;) {
    if (name == key) return value;
  }
  return std::nullopt;
}

}  // namespace

ProcessInfo process_info(std::int64_t pid) {
  ProcessInfo info{"?", "?"};
  const std::string directory = "/proc/" + std::to_string(pid);
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return info;
  info.user = user_name(status.st_uid);
  std::string command = slurp(directory + "/cmdline");
  std::replace(command.begin(), command.end(), '\0', ' ');
  while (!command.empty() && command.back() == ' ') command.pop_back();
  if (command.empty()) command = slurp(directory + "/comm");
  if (!command.empty() && command.back() == '\n') command.pop_back();
  if (!command.empty()) info.command = command.substr(0, kMaxCommand);
  return info;
}

std::optional<db::ProcessIdentity> identify(std::int64_t pid) {
  const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  // The name in parentheses may hold spaces and parentheses itself: fields are counted from its end.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  fields >> field;
  if (field == "Z" || field == "X") return std::nullopt;
  constexpr int kState = 3, kStartTime = 22;
  for (int i = kState; i < kStartTime; ++i) fields >> field;
  std::int64_t start = 0;
  std::istringstream(field) >> start;
  return db::ProcessIdentity{pid, start, boot_id()};
}

bool is_alive(const db::ProcessIdentity& process) {
  return identify(process.pid) == process;
}

std::optional<std::int64_t> find_worker(const std::string& run_dir) {
  const std::string wanted = "MOELAB_RUN_DIR=" + run_dir;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (!std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c); })) continue;
    std::istringstream environment(slurp(entry.path().string() + "/environ"));
    for (std::string variable; std::getline(environment, variable, '\0');) {
      if (variable == wanted && identify(std::stoll(name))) return std::stoll(name);
    }
  }
  return std::nullopt;
}

const std::string& boot_id() {
  static const std::string id = [] {
    std::string text = slurp("/proc/sys/kernel/random/boot_id");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }();
  return id;
}

std::int64_t oom_kill_count() {
  if (const auto own = counter("/sys/fs/cgroup/memory.events", "oom_kill")) return *own;
  return counter("/proc/vmstat", "oom_kill").value_or(0);
}

}  // namespace moelab::server
