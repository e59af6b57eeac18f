// Shapes: B sequences, L positions, T = B*L, H heads, C head width.
#include "worker/ops/rope.h"

#include <cstring>

#include "worker/ops/cpu_vector.h"

namespace moelab::worker {
namespace {

// Turns the pairs (x[j], x[j + half]) by the angles; `sign` -1 turns back.
MOELAB_CPU_CLONES void rotate_heads(const float* in, std::int64_t in_stride, float* out, std::int64_t out_stride, const float* cos,
                                    const float* sin, float sign, std::int64_t heads, std::int64_t half) {
  for (std::int64_t h = 0; h < heads; ++h) {
    const float* x = in + h * in_stride;
    float* y = out + h * out_stride;
    for (std::int64_t j = 0; j < half; ++j) {
      const float s = sign * sin[j];
      y[j] = x[j] * cos[j] - x[j + half] * s;
      y[j + half] = x[j + half] * cos[j] + x[j] * s;
    }
  }
}

struct Layout {
  std::int64_t batch, heads, length, width;
};

// to_heads: rows -> heads with the angle of the position; otherwise heads -> rows with minus the angle.
void move_and_rotate(const float* in, float* out, const Layout& n, const RopeTable& table, bool to_heads) {
  const bool rotates = table.cos.defined();
  const float* cos = rotates ? table.cos.const_data_ptr<float>() : nullptr;
  const float* sin = rotates ? table.sin.const_data_ptr<float>() : nullptr;
  const auto half = n.width / 2, head_stride = n.length * n.width;
  cpu::parallel_rows(n.batch * n.length, n.heads * n.width, [&](std::int64_t first, std::int64_t last) {
    for (auto t = first; t < last; ++t) {
      const auto sequence = t / n.length, position = t % n.length;
      const auto row_at = t * n.heads * n.width, head_at = sequence * n.heads * head_stride + position * n.width;
      const float* x = in + (to_heads ? row_at : head_at);
      float* y = out + (to_heads ? head_at : row_at);
      const auto x_stride = to_heads ? n.width : head_stride, y_stride = to_heads ? head_stride : n.width;
      if (rotates) {
        rotate_heads(x, x_stride, y, y_stride, cos + position * half, sin + position * half, to_heads ? 1.0F : -1.0F, n.heads, half);
      } else {
        for (std::int64_t h = 0; h < n.heads; ++h) {
          std::memcpy(y + h * y_stride, x + h * x_stride, static_cast<std::size_t>(n.width) * sizeof(float));
        }
      }
    }
  });
}

torch::Tensor rotate(const torch::Tensor& x, const torch::Tensor& cos, const torch::Tensor& sin) {
  const auto wide = x.to(cos.scalar_type());
  const auto parts = wide.chunk(2, -1);
  return torch::cat({parts[0] * cos - parts[1] * sin, parts[1] * cos + parts[0] * sin}, -1).to(x.scalar_type());
}

}  // namespace

RopeTable rope_table(std::int64_t positions, std::int64_t head_dim, double theta, const torch::TensorOptions& options) {
  // Angles in double: at long positions an fp32 angle has lost the digits that decide its cosine.
  const auto wide = torch::dtype(torch::kFloat64);
  const auto frequency = torch::pow(theta, torch::arange(0, head_dim, 2, wide) / -static_cast<double>(head_dim));
  const auto angle = torch::outer(torch::arange(positions, wide), frequency);
  return {angle.cos().to(options), angle.sin().to(options)};
}

torch::Tensor heads_from_rows(const torch::Tensor& rows_TX, std::int64_t batch, std::int64_t heads, const RopeTable& table) {
  const Layout n{batch, heads, rows_TX.size(0) / batch, rows_TX.size(1) / heads};
  if (cpu::plain_float(rows_TX)) {
    const auto in = rows_TX.contiguous();
    auto out = torch::empty({n.batch, n.heads, n.length, n.width}, in.options());
    move_and_rotate(in.const_data_ptr<float>(), out.mutable_data_ptr<float>(), n, table, true);
    return out;
  }
  const auto x = rows_TX.view({n.batch, n.length, n.heads, n.width}).transpose(1, 2);
  return (table.cos.defined() ? rotate(x, table.cos.slice(0, 0, n.length), table.sin.slice(0, 0, n.length)) : x).contiguous();
}

torch::Tensor rows_from_heads(const torch::Tensor& heads_BHLC, const RopeTable& table) {
  const Layout n{heads_BHLC.size(0), heads_BHLC.size(1), heads_BHLC.size(2), heads_BHLC.size(3)};
  if (cpu::plain_float(heads_BHLC)) {
    const auto in = heads_BHLC.contiguous();
    auto out = torch::empty({n.batch * n.length, n.heads * n.width}, in.options());
    move_and_rotate(in.const_data_ptr<float>(), out.mutable_data_ptr<float>(), n, table, false);
    return out;
  }
  const auto x = table.cos.defined() ? rotate(heads_BHLC, table.cos.slice(0, 0, n.length), -table.sin.slice(0, 0, n.length)) : heads_BHLC;
  return x.transpose(1, 2).reshape({n.batch * n.length, n.heads * n.width});
}

torch::Tensor rotate_reference(const torch::Tensor& x, const RopeTable& table) {
  const auto length = x.size(-2), half = x.size(-1) / 2;
  const auto cos = torch::cat({table.cos, table.cos}, 1).slice(0, 0, length),
             sin = torch::cat({table.sin, table.sin}, 1).slice(0, 0, length);
  const auto turned = torch::cat({-x.slice(-1, half), x.slice(-1, 0, half)}, -1);
  return x * cos + turned * sin;
}

}  // namespace moelab::worker
