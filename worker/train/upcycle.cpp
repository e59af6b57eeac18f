// Shapes: E experts, D model width, f width of the dense FFN and of an expert.
#include "worker/train/upcycle.h"

#include <ATen/CPUGeneratorImpl.h>

#include <utility>

#include "core/error.h"
#include "worker/data/portable_random.h"
#include "worker/interop/weights.h"

namespace moelab::worker {
namespace {

class Upcycling {
 public:
  Upcycling(const LanguageModel& model, const TensorMap& dense, const std::string& source)
      : shape_(model.shape()),
        noise_(model.config().train.upcycle_noise),
        own_(model_tensors(model)),
        weights_(dense),
        source_(source),
        // Another stream than that of the model's own draw, whose seed this is too.
        generator_(at::detail::createCPUGenerator(mix64(static_cast<std::uint64_t>(model.config().seed)))) {}

  TensorMap weights() {
    for (std::size_t layer = 0; layer < shape_.moe_layer.size(); ++layer) {
      if (shape_.moe_layer[layer]) convert("layers." + std::to_string(layer) + ".");
    }
    return std::move(weights_);
  }

 private:
  void convert(const std::string& layer) {
    // Transposed: experts are stored [in, out], FFNs [out, in].
    const auto gate_EDf = copies(taken(layer + "mlp.gate.weight").t());
    const auto up_EDf = copies(taken(layer + "mlp.up.weight").t());
    weights_[layer + "moe.experts.gate_up"] = torch::cat({gate_EDf, up_EDf}, 2);
    weights_[layer + "moe.experts.down"] = copies(taken(layer + "mlp.down.weight").t());
    for (const auto& [name, tensor] : own_) {
      if (name.starts_with(layer + "moe.router.")) weights_[name] = tensor;
    }
  }

  torch::Tensor taken(const std::string& name) {
    const auto found = weights_.find(name);
    if (found == weights_.end()) {
      throw core::Error(core::ErrorKind::config,
                        "train.upcycle: " + source_ + " has no " + name + "; name a dense model of this depth in train.init_from");
    }
    const auto tensor = found->second.to(torch::kCPU, torch::kFloat32);
    weights_.erase(found);
    const auto width = name.find(".down.") != std::string::npos ? tensor.size(1) : tensor.size(0);
    if (width != shape_.expert_width) {
      throw core::Error(core::ErrorKind::config, "model.intermediate_size: is " + std::to_string(shape_.expert_width) + " here but " +
                                                     std::to_string(width) + " in " + source_ + "; train.upcycle needs that width");
    }
    return tensor;
  }

  torch::Tensor copies(const torch::Tensor& matrix_XY) {
    auto copies_EXY = matrix_XY.expand({shape_.experts, -1, -1}).contiguous();
    if (noise_ == 0) return copies_EXY;
    return copies_EXY.add_(torch::empty_like(copies_EXY).normal_(0, noise_ * matrix_XY.std().item<double>(), generator_));
  }

  const core::ModelShape shape_;
  const double noise_;
  const TensorMap own_;
  TensorMap weights_;
  const std::string source_;
  at::Generator generator_;
};

}  // namespace

TensorMap upcycled_weights(const LanguageModel& model, const TensorMap& dense, const std::string& source) {
  const torch::NoGradGuard no_grad;
  return Upcycling(model, dense, source).weights();
}

}  // namespace moelab::worker
