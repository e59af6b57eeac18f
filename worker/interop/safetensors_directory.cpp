#include "worker/interop/safetensors_directory.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "worker/data/durable_file.h"

namespace moelab::worker {
namespace {

using nlohmann::json;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

[[noreturn]] void refuse_shards(const std::filesystem::path& file, const std::string& what) {
  throw core::Error(core::ErrorKind::storage, file.string() + ": " + what + "; restore the file or name another");
}

std::map<std::string, std::set<std::string>> names_by_shard(const std::filesystem::path& index_file) {
  std::ifstream stream(index_file);
  const auto index = json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    refuse_shards(index_file, "has no valid weight_map");
  }
  std::map<std::string, std::set<std::string>> names;
  for (const auto& [name, shard] : index["weight_map"].items()) {
    // A shard lies beside its index; a path would let an index name any file of the machine.
    if (!shard.is_string() || std::filesystem::path(shard.get<std::string>()).filename() != shard.get<std::string>() ||
        shard.get<std::string>().empty()) {
      refuse_shards(index_file, "tensor " + name + " names no file of its directory");
    }
    names[shard.get<std::string>()].insert(name);
  }
  return names;
}

// In the order of names, so that a layer's tensors lie together.
std::vector<TensorMap> split(const TensorMap& tensors, std::int64_t max_shard_bytes) {
  std::vector<TensorMap> shards;
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto size = static_cast<std::int64_t>(tensor.nbytes());
    if (shards.empty() || (bytes + size > max_shard_bytes && !shards.back().empty())) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back()[name] = tensor;
    bytes += size;
  }
  return shards;
}

std::string shard_name(std::size_t number, std::size_t count) {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number, count);
  return name;
}

}  // namespace

TensorMap read_safetensors_directory(const std::filesystem::path& directory, NonFinite non_finite) {
  const auto index_file = directory / kIndexFile;
  if (!std::filesystem::exists(index_file)) return read_safetensors(directory / kSingleFile, non_finite).tensors;

  TensorMap tensors;
  for (const auto& [shard, names] : names_by_shard(index_file)) {
    auto part = read_safetensors(directory / shard, non_finite).tensors;
    for (const auto& name : names) {
      if (!part.contains(name)) refuse_shards(directory / shard, "tensor " + name + " is missing, though the index says it is here");
    }
    for (auto& [name, tensor] : part) {
      if (!names.contains(name)) refuse_shards(directory / shard, "tensor " + name + " is not in the index");
      tensors.emplace(name, std::move(tensor));
    }
  }
  return tensors;
}

void write_safetensors_directory(const std::filesystem::path& directory, const TensorMap& tensors, std::int64_t max_shard_bytes) {
  const std::map<std::string, std::string> metadata{{"format", "pt"}};  // without it Transformers 4.x refuses the file
  const auto shards = split(tensors, max_shard_bytes);
  if (shards.size() <= 1) {
    write_safetensors(directory / kSingleFile, tensors, metadata);
    return;
  }
  json index{{"metadata", {{"total_size", 0}}}, {"weight_map", json::object()}};
  std::int64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto file = shard_name(i + 1, shards.size());
    write_safetensors(directory / file, shards[i], metadata);
    for (const auto& [name, tensor] : shards[i]) {
      index["weight_map"][name] = file;
      total += static_cast<std::int64_t>(tensor.nbytes());
    }
  }
  index["metadata"]["total_size"] = total;
  write_durably(directory / kIndexFile, index.dump(2) + "\n");
}

}  // namespace moelab::worker
