#include "worker/train/generate_command.h"

#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "core/error.h"
#include "worker/data/tokenizer.h"
#include "worker/interop/weights.h"
#include "worker/train/checkpoint.h"
#include "worker/train/generate.h"

namespace moelab::worker {

void generate_command(const GenerateCommand& command, std::ostream& out) {
  const auto directory = find_checkpoint(command.from);
  if (!directory) {
    throw core::Error(core::ErrorKind::not_found,
                      "--from: " + command.from.string() + " has no checkpoint yet; wait for the first one, or name another run");
  }
  const Checkpoint checkpoint = read_checkpoint(*directory);
  if (!std::filesystem::exists(*directory / "tokenizer.model")) {
    throw core::Error(
        core::ErrorKind::not_found,
        directory->string() + " has no tokenizer (the run trained on token files); set data.tokenizer in the run's configuration");
  }
  const Tokenizer tokenizer = Tokenizer::load(*directory / "tokenizer.model");
  LanguageModel model(checkpoint.config);
  load_weights(model, checkpoint.weights, directory->string());

  for (const std::string& prompt : command.prompts) {
    std::vector<std::int32_t> ids = tokenizer.encode(prompt);
    if (checkpoint.config.data.bos && tokenizer.bos_id()) ids.insert(ids.begin(), static_cast<std::int32_t>(*tokenizer.bos_id()));
    const std::vector<std::int32_t> continuation = generate(model, ids, command.sampling, tokenizer.eos_id());
    ids.insert(ids.end(), continuation.begin(), continuation.end());
    const std::string text = tokenizer.decode(ids);
    if (command.json) {
      const nlohmann::json line{{"prompt", prompt},
                                {"text", text},
                                {"tokens", continuation},
                                {"checkpoint", directory->string()},
                                {"step", checkpoint.state.step}};
      out << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    } else {
      out << text << '\n';
      if (&prompt != &command.prompts.back()) out << "---\n";
    }
    out.flush();
  }
}

}  // namespace moelab::worker
