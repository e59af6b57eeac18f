#include "core/content_hash.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/sha256.h"

namespace moelab::core {
namespace {

namespace fs = std::filesystem;

std::int64_t nanoseconds(fs::file_time_type time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

std::string extension_class(SourceKind kind, const fs::path& file) {
  return kind == SourceKind::corpus ? file.extension().string() : "";
}

}  // namespace

ContentHasher::ContentHasher(fs::path cache_dir) {
  if (cache_dir.empty()) return;
  cache_file_ = std::move(cache_dir) / "content_hashes.json";
  load();
}

ContentHasher::~ContentHasher() {
  if (changed_ && !cache_file_.empty()) save();
}

const ContentHash& ContentHasher::hash(SourceKind kind, const std::vector<std::string>& names) {
  const auto key = std::pair(kind, names);
  const auto it = done_.find(key);
  return it != done_.end() ? it->second : done_.emplace(key, compute(kind, names)).first->second;
}

ContentHash ContentHasher::compute(SourceKind kind, const std::vector<std::string>& names) {
  SourceFiles found = find_source_files(kind, names);
  Sha256 hash;
  for (const fs::path& file : found.files) {
    const std::string content = hash_file(file);
    if (content.empty()) found.missing.push_back("cannot read " + file.string());
    std::string name = extension_class(kind, file);
    if (kind == SourceKind::tree) name = file.lexically_relative(names.front()).generic_string();
    hash.update(name + '\n' + content + '\n');
  }
  ContentHash result;
  result.missing = std::move(found.missing);
  if (result.missing.empty()) result.hex = hash.hex();
  return result;
}

std::string ContentHasher::hash_file(const fs::path& file) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  const fs::file_time_type modified = error ? fs::file_time_type{} : fs::last_write_time(file, error);
  if (error) return "";
  const auto it = entries_.find(file.string());
  const std::int64_t mtime_ns = nanoseconds(modified);
  if (it != entries_.end() && it->second.size == size && it->second.mtime_ns == mtime_ns) return it->second.sha256;
  const std::optional<std::string> sha256 = sha256_of_file(file);
  if (!sha256) return "";
  // A file written a moment ago may change again within the clock's tick and keep its size: not to be remembered yet.
  const bool settled = fs::file_time_type::clock::now() - modified > std::chrono::seconds(2);
  if (settled) {
    entries_[file.string()] = {size, mtime_ns, *sha256};
    changed_ = true;
  }
  return *sha256;
}

void ContentHasher::load() {
  std::ifstream stream(cache_file_);
  const nlohmann::json json = nlohmann::json::parse(stream, nullptr, false);
  if (!json.is_object()) return;
  try {
    for (const auto& [path, entry] : json.items()) {
      entries_[path] = {entry.at("size").get<std::uintmax_t>(), entry.at("mtime_ns").get<std::int64_t>(),
                        entry.at("sha256").get<std::string>()};
    }
  } catch (const nlohmann::json::exception&) {
    entries_.clear();
  }
}

// Best effort: losing the cache costs time, never a result. The rename keeps readers from seeing half a file.
void ContentHasher::save() const {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [path, entry] : entries_) json[path] = {{"size", entry.size}, {"mtime_ns", entry.mtime_ns}, {"sha256", entry.sha256}};
  static std::atomic<int> counter{0};
  fs::path scratch = cache_file_;
  scratch += '.' + std::to_string(::getpid()) + '.' + std::to_string(counter++);
  std::error_code error;
  fs::create_directories(cache_file_.parent_path(), error);
  std::ofstream stream(scratch);
  stream << json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  stream.close();
  if (stream.fail()) {
    fs::remove(scratch, error);
    return;
  }
  fs::rename(scratch, cache_file_, error);
}

}  // namespace moelab::core
