#include "server/retention/trash.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "core/error.h"
#include "server/file_io.h"

namespace moelab::server {
namespace {

namespace fs = std::filesystem;

// A name in the trash is the path below the home with '+' for '/', and a number that makes it the only one.
constexpr char kSlash = '+';

std::string name_of(const fs::path& below_home, int number) {
  std::string name = below_home.generic_string();
  std::replace(name.begin(), name.end(), '/', kSlash);
  return name + '.' + std::to_string(number);
}

fs::path origin_of(const fs::path& taken) {
  std::string name = taken.filename().string();
  name.erase(std::min(name.size(), name.rfind('.')));
  std::replace(name.begin(), name.end(), kSlash, '/');
  return name;
}

std::optional<std::int64_t> run_of(const fs::path& origin) {
  if (origin.parent_path() != "runs") return std::nullopt;
  const std::string name = origin.filename().string();
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  return error == std::errc{} && end == name.data() + name.size() ? std::optional(id) : std::nullopt;
}

}  // namespace

fs::path Trash::take(const fs::path& path) const {
  create_directories_or_throw(paths_.trash());
  const fs::path below_home = path.lexically_relative(paths_.home());
  for (int number = 1;; ++number) {
    const fs::path taken = paths_.trash() / name_of(below_home, number);
    if (fs::exists(fs::symlink_status(taken))) continue;
    std::error_code error;
    fs::rename(path, taken, error);
    if (!error) return taken;
    throw core::Error(core::ErrorKind::storage, path.string() + ": cannot be moved to " + paths_.trash().string() + ": " + error.message() +
                                                    ". Check permissions");
  }
}

void Trash::put_back(const fs::path& taken) const {
  std::error_code error;
  fs::rename(taken, paths_.home() / origin_of(taken), error);
  if (error) spdlog::error("{} cannot be put back: {}", taken.string(), error.message());
}

void Trash::put_back_runs(const std::function<bool(std::int64_t)>& is_known) const {
  for (const fs::path& taken : entries_of(paths_.trash())) {
    const std::optional<std::int64_t> run = run_of(origin_of(taken));
    if (!run || !is_known(*run) || fs::exists(paths_.run(*run))) continue;
    spdlog::warn("run {} was being deleted when the daemon ended: it is back", *run);
    put_back(taken);
  }
}

std::uint64_t Trash::empty() const {
  std::uint64_t freed = 0;
  for (const fs::path& path : entries_of(paths_.trash())) {
    const std::uint64_t bytes = bytes_of(path);
    std::error_code error;
    fs::remove_all(path, error);
    if (error) {
      spdlog::warn("{} cannot be removed: {}", path.string(), error.message());
    } else {
      freed += bytes;
    }
  }
  return freed;
}

std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(directory, missing)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

std::uint64_t bytes_of(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (error || fs::is_symlink(status)) return 0;
  if (!fs::is_directory(status)) {
    const std::uintmax_t bytes = fs::file_size(path, error);
    return error ? 0 : bytes;
  }
  std::uint64_t sum = 0;
  for (const fs::path& entry : entries_of(path)) sum += bytes_of(entry);
  return sum;
}

}  // namespace moelab::server
