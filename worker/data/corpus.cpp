#include "worker/data/corpus.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/sha256.h"
#include "core/source_files.h"
#include "worker/data/mapped_file.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;

bool is_jsonl(const fs::path& file) {
  return file.extension() == ".jsonl";
}
bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

std::string_view without_bom(std::string_view text) {
  constexpr std::string_view kBom = "\xef\xbb\xbf";
  return text.substr(0, kBom.size()) == kBom ? text.substr(kBom.size()) : text;
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
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
  if (object.is_discarded()) throw Error(ErrorKind::data, where + ": not valid JSON; a .jsonl file holds one JSON object a line");
  if (!object.is_object()) throw Error(ErrorKind::data, where + ": not a JSON object; a .jsonl file holds one JSON object a line");
  const auto it = object.find(field);
  if (it == object.end()) {
    throw Error(ErrorKind::data, where + ": no field \"" + field + "\" (fields here: " + field_names(object) + "); set data.text_field");
  }
  if (!it->is_string()) throw Error(ErrorKind::data, where + ": field \"" + field + "\" is not a string; set data.text_field");
  return it->get<std::string>();
}

}  // namespace

Corpus::Corpus(const std::vector<std::string>& paths, std::string text_field, std::string key)
    : text_field_(std::move(text_field)), key_(std::move(key)) {
  core::SourceFiles found = core::find_source_files(core::SourceKind::corpus, paths);
  if (!found.missing.empty()) throw Error(ErrorKind::data, key_ + ": " + found.missing.front());
  if (found.files.empty()) throw Error(ErrorKind::data, key_ + ": no files; name a .txt or .jsonl file, a directory or a glob");
  files_ = std::move(found.files);
  for (const fs::path& file : files_) {
    if (file.extension() != ".txt" && !is_jsonl(file)) {
      throw Error(ErrorKind::data,
                  key_ + ": " + file.string() + " is neither .txt nor .jsonl; rename it, or use data.tokens for token files");
    }
    std::error_code error;
    bytes_ += static_cast<std::int64_t>(fs::file_size(file, error));
    if (error) throw Error(ErrorKind::data, key_ + ": " + file.string() + ": " + error.message());
  }
}

std::string Corpus::content_hash() const {
  nlohmann::json content = nlohmann::json::array();
  bool any_jsonl = false;
  for (const fs::path& file : files_) {
    const MappedFile map(file);
    any_jsonl = any_jsonl || is_jsonl(file);
    content.push_back({is_jsonl(file) ? "jsonl" : "txt", core::sha256_hex(map.text())});
  }
  if (any_jsonl) content.push_back(text_field_);
  return core::sha256_hex(content.dump());
}

void Corpus::for_each_document(const std::function<void(std::string_view, std::int64_t)>& visit) const {
  std::int64_t bytes_read = 0;
  for (const fs::path& file : files_) {
    if (!is_jsonl(file)) {
      const MappedFile map(file);
      bytes_read += static_cast<std::int64_t>(map.bytes());
      const std::string_view text = without_bom(map.text());
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
