// Owns the choices of text generation. Apart from generate.h so that the command line compiles without LibTorch.
#pragma once

#include <cstdint>

namespace moelab::worker {

struct SamplingOptions {
  std::int64_t max_new_tokens = 64;
  double temperature = 0.8;  // 0 = greedy
  std::int64_t top_k = 0;    // keep the k most likely tokens; 0 = all
  double top_p = 1;          // then the smallest set of likeliest tokens whose probability reaches p; 1 = all
  std::uint64_t seed = 0;
  bool greedy = false;  // always the likeliest token (lowest id on ties); the other choices are then unused
};

}  // namespace moelab::worker
