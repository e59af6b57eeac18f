#include "worker/data/corpus.h"

#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/error.h"
#include "worker/data/mapped_file.h"
#include "worker/data/sha256.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;

bool is_jsonl(const fs::path& file) {
  return file.extension() == ".jsonl";
}
bool is_corpus_file(const fs::path& file) {
  return file.extension() == ".txt" || is_jsonl(file);
}
bool is_pattern(const std::string& path) {
  return path.find_first_of("*?[") != std::string::npos;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

std::string_view without_bom(std::string_view text) {
  constexpr std::string_view kBom = "\xef\xbb\xbf";
  return text.substr(0, kBom.size()) == kBom ? text.substr(kBom.size()) : text;
}

std::vector<fs::path> files_under(const fs::path& directory, const std::string& key) {
  std::vector<fs::path> found;
  std::error_code error;
  auto it = fs::recursive_directory_iterator(directory, fs::directory_options::follow_directory_symlink, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->is_regular_file(error) && is_corpus_file(it->path())) found.push_back(it->path());
  }
  if (error) throw Error(ErrorKind::data, key + ": " + directory.string() + " cannot be read: " + error.message());
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> files_matching(const std::string& pattern) {
  std::vector<fs::path> found;
  glob_t matches{};
  if (::glob(pattern.c_str(), GLOB_TILDE, nullptr, &matches) == 0) {
    for (std::size_t i = 0; i < matches.gl_pathc; ++i) found.emplace_back(matches.gl_pathv[i]);
  }
  ::globfree(&matches);
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> files_of(const std::string& path, const std::string& key) {
  std::error_code error;
  if (fs::is_directory(path, error)) return files_under(path, key);
  if (fs::exists(path, error)) {
    if (!is_corpus_file(path)) {
      throw Error(ErrorKind::data, key + ": " + path + " is neither .txt nor .jsonl; rename it, or use data.tokens for token files");
    }
    return {path};
  }
  if (!is_pattern(path)) throw Error(ErrorKind::data, key + ": no such file or directory: " + path);
  std::vector<fs::path> found;
  for (const fs::path& match : files_matching(path)) {
    if (fs::is_directory(match, error)) {
      for (fs::path& file : files_under(match, key)) found.push_back(std::move(file));
    } else if (is_corpus_file(match)) {
      found.push_back(match);
    }
  }
  return found;
}

std::string field_names(const nlohmann::json& object) {
  std::string names;
  for (const auto& item : object.items()) {
    if (!names.empty()) names += ", ";
    names += item.key();
  }
  return names.empty() ? "none" : names;
}

std::string text_of_line(const std::string& line, const std::string& field, const std::string& where) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (json.is_discarded()) throw Error(ErrorKind::data, where + ": not valid JSON; a .jsonl file holds one JSON object a line");
  if (!json.is_object()) throw Error(ErrorKind::data, where + ": not a JSON object; a .jsonl file holds one JSON object a line");
  const auto it = json.find(field);
  if (it == json.end()) {
    throw Error(ErrorKind::data, where + ": no field \"" + field + "\" (fields here: " + field_names(json) + "); set data.text_field");
  }
  if (!it->is_string()) throw Error(ErrorKind::data, where + ": field \"" + field + "\" is not a string; set data.text_field");
  return it->get<std::string>();
}

}  // namespace

Corpus::Corpus(const std::vector<std::string>& paths, std::string text_field, std::string key)
    : text_field_(std::move(text_field)), key_(std::move(key)) {
  std::set<fs::path> seen;
  for (const std::string& path : paths) {
    const std::vector<fs::path> found = files_of(path, key_);
    if (found.empty()) throw Error(ErrorKind::data, key_ + ": no .txt or .jsonl file matches " + path);
    for (const fs::path& file : found) {
      std::error_code error;
      const fs::path canonical = fs::canonical(file, error);
      if (error) throw Error(ErrorKind::data, key_ + ": " + file.string() + ": " + error.message());
      if (!seen.insert(canonical).second) continue;
      files_.push_back(file);
      bytes_ += static_cast<std::int64_t>(fs::file_size(file, error));
    }
  }
  if (files_.empty()) throw Error(ErrorKind::data, key_ + ": no files; name a .txt or .jsonl file, a directory or a glob");
}

std::string Corpus::content_hash() const {
  Sha256 hash;
  bool any_jsonl = false;
  for (const fs::path& file : files_) {
    const MappedFile map(file);
    any_jsonl = any_jsonl || is_jsonl(file);
    hash.field(is_jsonl(file) ? "jsonl" : "txt").field({reinterpret_cast<const char*>(map.data()), map.bytes()});
  }
  if (any_jsonl) hash.field(text_field_);
  return hash.hex();
}

void Corpus::for_each_document(const std::function<void(std::string_view, std::int64_t)>& visit) const {
  std::int64_t bytes_read = 0;
  for (const fs::path& file : files_) {
    if (!is_jsonl(file)) {
      const MappedFile map(file);
      bytes_read += static_cast<std::int64_t>(map.bytes());
      const std::string_view text = without_bom({reinterpret_cast<const char*>(map.data()), map.bytes()});
      if (!is_blank(text)) visit(text, bytes_read);
      continue;
    }
    std::ifstream in(file, std::ios::binary);
    if (!in) throw Error(ErrorKind::data, key_ + ": " + file.string() + " cannot be read: " + std::strerror(errno));
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
      bytes_read += static_cast<std::int64_t>(line.size()) + (in.eof() ? 0 : 1);
      if (is_blank(line)) continue;
      const std::string text =
          text_of_line(number == 1 ? std::string(without_bom(line)) : line, text_field_, file.string() + ":" + std::to_string(number));
      if (!is_blank(text)) visit(text, bytes_read);
    }
  }
}

std::int64_t Corpus::count_documents() const {
  std::int64_t count = 0;
  for_each_document([&](std::string_view, std::int64_t) { ++count; });
  if (count == 0)
    throw Error(ErrorKind::data, key_ + ": the corpus is empty: " + std::to_string(files_.size()) + " file(s), no text in them");
  return count;
}

}  // namespace moelab::worker
