#include "worker/train/export_command.h"

#include <ostream>

#include "worker/data/durable_file.h"
#include "worker/data/mapped_file.h"
#include "worker/interop/hf_export.h"
#include "worker/interop/safetensors_directory.h"
#include "worker/train/output_directory.h"
#include "worker/train/stored_model.h"

namespace moelab::worker {

void export_command(const ExportCommand& command, std::ostream& out) {
  OutputDirectory directory(command.out);
  const StoredModel model = read_stored_model(command.from, "--from");
  const ExportedModel exported = export_transformers(model.config, model.weights, model.directory.string());
  write_durably(directory.path() / "config.json", exported.config);
  write_safetensors_directory(directory.path(), exported.tensors, command.max_shard_bytes);
  if (!model.tokenizer.empty()) write_durably(directory.path() / "tokenizer.model", MappedFile(model.tokenizer).text());
  directory.commit();
  out << model.directory.string() << " exported as " << hf_class(exported.architecture).name << " to " << command.out.string() << '\n';
}

}  // namespace moelab::worker
