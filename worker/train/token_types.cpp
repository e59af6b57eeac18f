#include "worker/train/token_types.h"

#include <algorithm>

#include "worker/data/python_lexer.h"

namespace moelab::worker {

RoutingShares token_type_shares(LanguageModel& model, const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  const torch::NoGradGuard no_grad;
  const core::RunConfig& config = model.config();
  const torch::Device device = model.parameters().front().device();
  const std::int64_t positions = config.model.max_position_embeddings.value_or(config.data.block_size);
  RoutingShares shares({kPythonClassNames.begin(), kPythonClassNames.end()}, model.shape());
  model.eval();
  for (const std::string& text : texts) {
    const std::vector<PythonClass> classes = classify_python(text);
    std::vector<std::int64_t> ids, rows;
    if (config.data.bos) {
      ids.push_back(*config.model.bos_token_id);
      rows.push_back(-1);
    }
    const auto length = static_cast<std::size_t>(std::min(positions, kTokenTypeTokens + static_cast<std::int64_t>(ids.size())));
    for (const TokenSpan& span : tokenizer.encode_spans(text)) {
      if (ids.size() == length) break;
      ids.push_back(span.id);
      rows.push_back(static_cast<std::int64_t>(majority_class(classes, text, span.begin, span.end)));
    }
    const torch::Tensor ids_1L = torch::tensor(ids, torch::kInt64).unsqueeze(0).to(device);
    const BatchLoss loss = model.loss(ids_1L, torch::full_like(ids_1L, kIgnoredTarget), LossOptions{});
    shares.add(torch::tensor(rows, torch::kInt64), loss.routes, 1);
  }
  model.train();
  return shares;
}

}  // namespace moelab::worker
