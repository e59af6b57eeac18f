#include "worker/train/initial_weights.h"

#include <filesystem>
#include <string>
#include <utility>

#include "core/error.h"
#include "worker/interop/hf_import.h"
#include "worker/interop/weights.h"
#include "worker/train/checkpoint.h"
#include "worker/train/upcycle.h"

namespace moelab::worker {

namespace {

struct Origin {
  core::RunConfig config;
  TensorMap weights;
  std::string name;
};

Origin read_origin(const std::filesystem::path& directory) {
  if (const auto checkpoint_dir = find_checkpoint(directory)) {
    Checkpoint checkpoint = read_checkpoint(*checkpoint_dir);
    return {std::move(checkpoint.config), std::move(checkpoint.weights), checkpoint_dir->string()};
  }
  if (is_transformers_directory(directory)) {
    ImportedModel imported = import_transformers(directory);
    return {std::move(imported.config), std::move(imported.tensors), directory.string()};
  }
  throw core::Error(core::ErrorKind::data, "train.init_from: " + directory.string() +
                                               " is neither a Moedl checkpoint nor a Transformers directory with a config.json");
}

}  // namespace

void load_initial_weights(LanguageModel& model, const core::RunConfig& config) {
  const std::filesystem::path directory = config.train.init_from;
  if (directory.empty()) return;
  const Origin origin = read_origin(directory);
  if (!config.train.upcycle) {
    check_same_function(config, origin.config, origin.name);
    load_weights(model, origin.weights, origin.name);
    return;
  }
  if (origin.config.moe.num_experts > 1) {
    throw core::Error(core::ErrorKind::config, "train.upcycle: " + origin.name +
                                                   " has experts already; name a dense model in train.init_from, or set upcycle to false");
  }
  core::RunConfig dense = config;
  dense.moe = origin.config.moe;
  check_same_function(dense, origin.config, origin.name);
  load_weights(model, upcycled_weights(model, origin.weights, origin.name), origin.name);
}

}  // namespace moelab::worker
