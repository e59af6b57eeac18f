#include "core/source_files.h"

#include <glob.h>

#include <algorithm>
#include <set>
#include <utility>

namespace moelab::core {
namespace {

namespace fs = std::filesystem;

bool is_corpus_file(const fs::path& file) {
  return file.extension() == ".txt" || file.extension() == ".jsonl";
}

std::vector<fs::path> files_under(const fs::path& directory, bool corpus_only) {
  std::vector<fs::path> files;
  std::error_code error;
  auto it = fs::recursive_directory_iterator(directory, fs::directory_options::follow_directory_symlink, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code unreadable;
    if (it->is_regular_file(unreadable) && (!corpus_only || is_corpus_file(it->path()))) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> files_matching(const std::string& pattern) {
  std::vector<fs::path> matches;
  glob_t found{};
  if (::glob(pattern.c_str(), GLOB_TILDE, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) matches.emplace_back(found.gl_pathv[i]);
  }
  ::globfree(&found);
  std::vector<fs::path> files;
  for (const fs::path& match : matches) {
    std::error_code error;
    if (fs::is_directory(match, error)) {
      const std::vector<fs::path> below = files_under(match, true);
      files.insert(files.end(), below.begin(), below.end());
    } else if (is_corpus_file(match)) {
      files.push_back(match);
    }
  }
  return files;
}

std::vector<fs::path> files_of(SourceKind kind, const std::string& name) {
  std::error_code error;
  if (fs::is_directory(name, error)) {
    const bool takes_directory = kind == SourceKind::corpus || kind == SourceKind::tree;
    return takes_directory ? files_under(name, kind == SourceKind::corpus) : std::vector<fs::path>{};
  }
  if (fs::exists(name, error)) {
    const fs::path sidecar = fs::path(name).replace_extension(".json");
    if (kind == SourceKind::tokens && fs::path(name).extension() == ".bin" && fs::exists(sidecar, error)) return {name, sidecar};
    return {name};
  }
  return kind == SourceKind::corpus ? files_matching(name) : std::vector<fs::path>{};
}

std::string why_missing(SourceKind kind, const std::string& name) {
  std::error_code error;
  const bool is_directory = fs::is_directory(name, error);
  const bool is_pattern = name.find_first_of("*?[") != std::string::npos;
  if (kind == SourceKind::corpus && (is_directory || is_pattern)) return "no .txt or .jsonl file in " + name;
  if (is_directory) return kind == SourceKind::tree ? "the directory is empty: " + name : "a directory where a file is needed: " + name;
  return "no such file or directory: " + name;
}

}  // namespace

SourceKind source_kind(const std::string& field) {
  if (field == "data.path" || field == "data.val_path" || field == "data.domains") return SourceKind::corpus;
  if (field == "data.tokens" || field == "data.val_tokens") return SourceKind::tokens;
  return field == "train.init_from" ? SourceKind::tree : SourceKind::file;
}

SourceFiles find_source_files(SourceKind kind, const std::vector<std::string>& names) {
  SourceFiles found;
  std::set<fs::path> seen;
  for (const std::string& name : names) {
    const std::vector<fs::path> files = files_of(kind, name);
    if (files.empty()) found.missing.push_back(why_missing(kind, name));
    for (const fs::path& file : files) {
      std::error_code error;
      if (seen.insert(fs::weakly_canonical(file, error)).second) found.files.push_back(file);
    }
  }
  return found;
}

}  // namespace moelab::core
