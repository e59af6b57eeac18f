#include "worker/train/import_command.h"

#include <ostream>
#include <string>

#include "core/error.h"
#include "worker/data/tokenizer.h"
#include "worker/interop/hf_import.h"
#include "worker/train/checkpoint.h"
#include "worker/train/log.h"
#include "worker/train/output_directory.h"

namespace moelab::worker {
namespace {

// Bytes of the tokenizer, empty for none. Some families keep another format under the same name.
std::string tokenizer_of(const std::filesystem::path& directory, std::int64_t vocab_size) {
  const auto file = directory / "tokenizer.model";
  if (!std::filesystem::exists(file)) return {};
  try {
    const Tokenizer tokenizer = Tokenizer::load(file);
    if (tokenizer.vocab_size() <= vocab_size) return tokenizer.model();
    log_info("%s is left out: it has more tokens than the model", file.c_str());
  } catch (const core::Error& error) {
    log_info("%s; the model is imported without it", error.what());
  }
  return {};
}

}  // namespace

void import_command(const ImportCommand& command, std::ostream& out) {
  OutputDirectory directory(command.out);
  const ImportedModel model = import_transformers(command.from);
  const std::string tokenizer = tokenizer_of(command.from, model.config.model.vocab_size);
  write_checkpoint(directory.path(), model.config, model.tensors, TrainingState{}, tokenizer);
  directory.commit();
  out << command.from.string() << " imported to " << command.out.string() << '\n';
}

}  // namespace moelab::worker
