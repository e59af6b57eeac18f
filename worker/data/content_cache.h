// Owns directories that are built once and then shared: <root>/<kind>/<key>/ with files and a meta.json that lists the
// SHA-256 of each. The key is a hash of everything the content depends on, so an entry never goes stale. Called by
// data_source for trained tokenizers and tokenised corpora.
//
// Two workers that want the same entry: one takes the file lock and builds in a temporary directory, fsyncs and renames;
// the other waits for the lock and finds the entry. A damaged entry is found by its hashes and built again.
// The time of change of an entry is that of its last use.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "worker/data/progress.h"

namespace moelab::worker {

struct CacheEntry {
  std::filesystem::path directory;
  nlohmann::json info;  // what build() returned
  bool built = false;   // by this call
};

class ContentCache {
 public:
  explicit ContentCache(std::filesystem::path root) : root_(std::move(root)) {}

  // build(directory) writes the files of the entry into an empty directory and returns the info to keep with it.
  // Throws what build throws, and Error(storage) when the cache cannot be written.
  CacheEntry get(const std::string& kind, const std::string& key, const DataWatcher& watcher,
                 const std::function<nlohmann::json(const std::filesystem::path& directory)>& build) const;

 private:
  std::filesystem::path root_;
};

}  // namespace moelab::worker
