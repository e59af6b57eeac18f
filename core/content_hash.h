// Owns content hashes of a run's sources, remembered between plans by path, size and modification time so that a corpus is
// read once. One object serves one plan and one thread; several may share a cache file. Called by plan.cpp through run_key.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/source_files.h"

namespace moelab::core {

struct ContentHash {
  std::string hex;                   // empty when something is missing
  std::vector<std::string> missing;  // see SourceFiles
};

class ContentHasher {
 public:
  // Remembers in `cache_dir`/content_hashes.json; an empty path remembers nothing. A cache that cannot be read counts as empty.
  explicit ContentHasher(std::filesystem::path cache_dir);
  ~ContentHasher();
  ContentHasher(const ContentHasher&) = delete;
  ContentHasher& operator=(const ContentHasher&) = delete;

  // Depends on the bytes of the files and their order, for trees on the names inside too, never on where they lie.
  const ContentHash& hash(SourceKind kind, const std::vector<std::string>& names);

 private:
  struct Entry {
    std::uintmax_t size = 0;
    std::int64_t mtime_ns = 0;
    std::string sha256;
  };

  std::string hash_file(const std::filesystem::path& file);
  ContentHash compute(SourceKind kind, const std::vector<std::string>& names);
  void load();
  void save() const;

  std::filesystem::path cache_file_;
  std::map<std::string, Entry> entries_;
  bool changed_ = false;
  std::map<std::pair<SourceKind, std::vector<std::string>>, ContentHash> done_;
};

}  // namespace moelab::core
