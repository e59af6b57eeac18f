#include "worker/train/stored_model.h"

#include <utility>

#include "core/error.h"
#include "worker/interop/hf_import.h"
#include "worker/train/checkpoint.h"

namespace moelab::worker {

StoredModel read_stored_model(const std::filesystem::path& directory, const std::string& option) {
  StoredModel model;
  if (const auto checkpoint_dir = find_checkpoint(directory)) {
    Checkpoint checkpoint = read_checkpoint(*checkpoint_dir);
    model.directory = *checkpoint_dir;
    model.config = std::move(checkpoint.config);
    model.weights = std::move(checkpoint.weights);
    model.step = checkpoint.state.step;
  } else if (is_transformers_directory(directory)) {
    ImportedModel imported = import_transformers(directory);
    model.directory = directory;
    model.config = std::move(imported.config);
    model.weights = std::move(imported.tensors);
  } else {
    throw core::Error(core::ErrorKind::not_found,
                      option + ": " + directory.string() +
                          " is no run with a checkpoint, no checkpoint and no Transformers directory with a config.json; name one of them");
  }
  const auto tokenizer = model.directory / "tokenizer.model";
  if (std::filesystem::exists(tokenizer)) model.tokenizer = tokenizer;
  return model;
}

}  // namespace moelab::worker
