#include "server/retention/origins.h"

#include <algorithm>
#include <system_error>

namespace moelab::server {
namespace {

// A home may be reached by several ways, through symbolic links.
std::filesystem::path resolved(const std::filesystem::path& path) {
  std::error_code unreadable;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, unreadable);
  return unreadable ? path : real;
}

bool is_within(const std::filesystem::path& path, const std::filesystem::path& directory) {
  return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first == directory.end();
}

}  // namespace

Origins::Origins(const std::vector<db::OriginRow>& rows) {
  for (const db::OriginRow& row : rows) users_.emplace(resolved(row.directory), row.run);
}

std::vector<db::RunId> Origins::users(const std::filesystem::path& directory) const {
  if (users_.empty()) return {};
  const std::filesystem::path real = resolved(directory);
  std::vector<db::RunId> runs;
  for (auto user = users_.lower_bound(real); user != users_.end() && is_within(user->first, real); ++user) {
    runs.push_back(user->second);
  }
  return runs;
}

}  // namespace moelab::server
