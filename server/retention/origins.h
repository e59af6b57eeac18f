// Owns which directories runs that have not ended start from (train.init_from, where it names files): retention leaves them alone.
// Used by home_listing and retention_service.
#pragma once

#include <filesystem>
#include <map>
#include <vector>

#include "db/retention_store.h"

namespace moelab::server {

class Origins {
 public:
  explicit Origins(const std::vector<db::OriginRow>& rows);
  // The runs that start from `directory` or from something in it.
  std::vector<db::RunId> users(const std::filesystem::path& directory) const;

 private:
  std::multimap<std::filesystem::path, db::RunId> users_;  // in the order of paths, what is in a directory follows it
};

}  // namespace moelab::server
