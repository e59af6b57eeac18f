// Owns scoring a model on given ids: the mean negative log-likelihood of every next token. Called by the score command.
// Shapes: B sequences, L ids each, V vocabulary.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>

#include "worker/model/language_model.h"

namespace moelab::worker {

struct Score {
  double nll_sum = 0;       // nats, summed in fp64
  std::int64_t tokens = 0;  // scored: every id but the first of each sequence
};

// Receives the logits of neighbouring positions, [n, V] fp32 on the CPU, in the order of the ids; all B*L rows in the end.
using LogitsSink = std::function<void(const torch::Tensor& logits_NV)>;

// ids_BL: int64 [B, L]. A sequence longer than the model's positions P is cut into windows of P ids that see nothing of each
// other: row i of its logits predicts id i + 1, and the last row of a window the first id of the next. Dropless, like
// generation. Sets the model to eval mode. `sink` may be empty. Throws Error(usage) when a signal asks to stop.
Score score(LanguageModel& model, const torch::Tensor& ids_BL, const LogitsSink& sink);

}  // namespace moelab::worker
