#include "worker/train/score.h"

#include <algorithm>

#include "core/error.h"
#include "worker/train/stop_signal.h"

namespace moelab::worker {
namespace {

constexpr std::int64_t kLogitsPerBatch = std::int64_t{1} << 24;  // 64 MiB of fp32, unless one window alone is more
constexpr std::int64_t kLogitsPerChunk = std::int64_t{1} << 22;  // 32 MiB of fp64

// Negative log-likelihoods of the targets of [N, V] logits, summed; in pieces, because fp64 logits take twice the memory.
double nll_sum(const torch::Tensor& logits_NV, const torch::Tensor& target_N) {
  const std::int64_t rows = std::max<std::int64_t>(1, kLogitsPerChunk / logits_NV.size(1));
  double sum = 0;
  for (std::int64_t begin = 0; begin < target_N.size(0); begin += rows) {
    const std::int64_t count = std::min(rows, target_N.size(0) - begin);
    const auto log_probability = logits_NV.narrow(0, begin, count).to(torch::kFloat64).log_softmax(1);
    sum -= log_probability.gather(1, target_N.narrow(0, begin, count).unsqueeze(1)).sum().item<double>();
  }
  return sum;
}

}  // namespace

Score score(LanguageModel& model, const torch::Tensor& ids_BL, const LogitsSink& sink) {
  const torch::NoGradGuard no_grad;
  model.eval();
  const auto& config = model.config();
  const std::int64_t window = config.model.max_position_embeddings.value_or(config.data.block_size);
  const std::int64_t sequences = ids_BL.size(0), length = ids_BL.size(1);
  // Whole sequences share a batch when each is one window; the windows of a longer one follow each other.
  const std::int64_t together =
      length > window ? 1 : std::clamp<std::int64_t>(kLogitsPerBatch / (length * model.shape().vocab), 1, sequences);
  const torch::Device device = model.parameters().front().device();
  Score result;
  for (std::int64_t row = 0; row < sequences; row += together) {
    const std::int64_t rows = std::min(together, sequences - row);
    for (std::int64_t begin = 0; begin < length; begin += window) {
      if (stop_requested()) throw core::Error(core::ErrorKind::usage, "interrupted; nothing was scored");
      const std::int64_t count = std::min(window, length - begin), targets = std::min(count, length - 1 - begin);
      const auto batch_BL = ids_BL.narrow(0, row, rows);
      const auto logits_BLV = model.logits(batch_BL.narrow(1, begin, count).to(device)).to(torch::kCPU);
      if (targets > 0) {
        result.nll_sum += nll_sum(logits_BLV.narrow(1, 0, targets).flatten(0, 1), batch_BL.narrow(1, begin + 1, targets).flatten());
        result.tokens += rows * targets;
      }
      if (sink) sink(logits_BLV.flatten(0, 1).contiguous());
    }
  }
  return result;
}

}  // namespace moelab::worker
