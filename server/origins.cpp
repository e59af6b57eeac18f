#include "server/origins.h"

#include <algorithm>

namespace moelab::server {
namespace {

bool is_within(const std::filesystem::path& path, const std::filesystem::path& directory) {
  return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first == directory.end();
}

}  // namespace

Origins::Origins(const std::vector<db::OriginRow>& rows) {
  for (const db::OriginRow& row : rows) users_.emplace(row.directory, row.run);
}

std::vector<db::RunId> Origins::users(const std::filesystem::path& directory) const {
  std::vector<db::RunId> runs;
  for (auto user = users_.lower_bound(directory); user != users_.end() && is_within(user->first, directory); ++user) {
    runs.push_back(user->second);
  }
  return runs;
}

}  // namespace moelab::server
