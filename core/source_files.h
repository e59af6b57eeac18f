// Owns which files a run's sources stand for: the same rules by which the worker reads them. Called by content_hash.cpp.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace moelab::core {

enum class SourceKind {
  corpus,  // .txt and .jsonl: files, directories searched recursively, globs
  tokens,  // one .npy or .bin file, and the .json sidecar of a .bin
  file,    // one file
  tree,    // a directory with everything below it
};

struct SourceFiles {
  std::vector<std::filesystem::path> files;  // in reading order, no file twice
  std::vector<std::string> missing;          // "no such file or directory: PATH", "no .txt or .jsonl file in PATH"
};

// The kind of a FieldScope::source field, by its dotted path.
SourceKind source_kind(const std::string& field);
// `names` are absolute.
SourceFiles find_source_files(SourceKind kind, const std::vector<std::string>& names);

}  // namespace moelab::core
