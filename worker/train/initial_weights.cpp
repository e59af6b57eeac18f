#include "worker/train/initial_weights.h"

#include <filesystem>

#include "core/error.h"
#include "worker/interop/hf_import.h"
#include "worker/interop/weights.h"
#include "worker/train/checkpoint.h"

namespace moelab::worker {

void load_initial_weights(LanguageModel& model, const core::RunConfig& config) {
  const std::filesystem::path directory = config.train.init_from;
  if (directory.empty()) return;
  if (const auto checkpoint_dir = find_checkpoint(directory)) {
    const Checkpoint checkpoint = read_checkpoint(*checkpoint_dir);
    check_same_function(config, checkpoint.config, checkpoint_dir->string());
    load_weights(model, checkpoint.weights, checkpoint_dir->string());
  } else if (is_transformers_directory(directory)) {
    const ImportedModel imported = import_transformers(directory);
    check_same_function(config, imported.config, directory.string());
    load_weights(model, imported.tensors, directory.string());
  } else {
    throw core::Error(core::ErrorKind::data, "train.init_from: " + directory.string() +
                                                 " is neither a Moedl checkpoint nor a Transformers directory with a config.json");
  }
}

}  // namespace moelab::worker
