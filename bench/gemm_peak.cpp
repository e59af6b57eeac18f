// Measures the fp32 matrix-product peak of this machine through LibTorch, the yardstick of bench/run. Prints one JSON line.
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "worker/ops/memory_tuning.h"

int main(int argc, char** argv) {
  moelab::worker::tune_memory();
  at::set_num_threads(argc > 1 ? std::atoi(argv[1]) : 2);
  const torch::NoGradGuard no_grad;
  double best_gflops = 0;
  // Square, and the widest product of the benchmark's model: whichever the library does best counts as the peak.
  for (const auto [m, k, n] : {std::array<std::int64_t, 3>{2048, 2048, 2048}, {2048, 512, 256}, {2048, 256, 256}}) {
    const auto a = torch::randn({m, k}), b = torch::randn({k, n});
    auto c = torch::empty({m, n});
    const double gflop = 2e-9 * static_cast<double>(m * k * n);
    for (int i = 0; i < 30; ++i) {
      const auto start = std::chrono::steady_clock::now();
      at::mm_out(c, a, b);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      best_gflops = std::max(best_gflops, gflop / seconds.count());
    }
  }
  std::cout << nlohmann::json{{"peak_gflops", best_gflops}} << std::endl;
  return 0;
}
