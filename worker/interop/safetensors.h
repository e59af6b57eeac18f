// Owns the safetensors file format: a JSON header with name, type, shape and byte range of every tensor, then the bytes.
// Read by hf_import and checkpoints, written by checkpoints. Every way a file can be wrong ends in one Error that names the
// file and, where there is one, the tensor: a half-read model must never train.
// Format: https://huggingface.co/docs/safetensors
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <map>
#include <string>

namespace moelab::worker {

using TensorMap = std::map<std::string, torch::Tensor>;

enum class NonFinite {
  refuse,  // NaN and infinity are an error: weights that somebody wants to go on from
  allow,   // optimiser states of a diverged run, logs
};

struct Safetensors {
  TensorMap tensors;                            // CPU, contiguous
  std::map<std::string, std::string> metadata;  // the header's __metadata__
};

// Maps the file privately: tensors share its pages until they are written to, and keep the mapping alive. The file must not
// shrink meanwhile; ours never change after their rename. Throws Error(not_found) when there is no such file and
// Error(storage) when it is truncated, its header is malformed, ranges overlap, leave gaps or disagree with the shapes, a
// type is unknown (F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL are known), or `non_finite` forbids what it holds.
Safetensors read_safetensors(const std::filesystem::path& file, NonFinite non_finite = NonFinite::refuse);

// Writes a temporary file beside `file`, flushes it to the disk and renames it. Tensors may live on any device and need not
// be contiguous. Throws Error(storage) when the disk refuses, leaving no temporary file, and Error(internal) for a type
// the format does not know.
void write_safetensors(const std::filesystem::path& file, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace moelab::worker
