// Owns `moelab-worker generate`: prompts in, text out.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "worker/train/sampling_options.h"

namespace moelab::worker {

struct GenerateCommand {
  std::filesystem::path from;  // run directory (its newest checkpoint) or checkpoint directory
  std::vector<std::string> prompts;
  std::filesystem::path prompts_file;  // instead of prompts: one a line, or .jsonl with a "prompt" in each; blank lines are skipped
  SamplingOptions sampling;
  bool json = false;
};

// Writes each prompt with its continuation to `out`, in order. Computes in fp32, whatever the run trained in. Throws
// Error(usage) without prompts or with both kinds, Error(data) naming what is wrong with the file of prompts, Error(not_found)
// when there is no checkpoint or no tokenizer.
void generate_command(const GenerateCommand& command, std::ostream& out);

}  // namespace moelab::worker
