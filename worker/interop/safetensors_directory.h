// Owns the weights of a Transformers directory: model.safetensors, or shards beside a model.safetensors.index.json. Read by
// hf_import, written by the export command.
#pragma once

#include <cstdint>
#include <filesystem>

#include "worker/interop/safetensors.h"

namespace moelab::worker {

// Throws as read_safetensors does, and Error(storage) when the index and the shards disagree in either direction.
TensorMap read_safetensors_directory(const std::filesystem::path& directory, NonFinite non_finite = NonFinite::refuse);

// One file when all tensors fit into max_shard_bytes, else shards of at most that many bytes of data; a tensor larger than
// that has a shard of its own. Throws as write_safetensors does.
void write_safetensors_directory(const std::filesystem::path& directory, const TensorMap& tensors, std::int64_t max_shard_bytes);

}  // namespace moelab::worker
