// Owns the random draws of a study: the same on every machine and with every compiler, since the mapping from bits to numbers is fixed here
// and not left to a standard library's distributions. Called by sample_reader.cpp.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace moelab::core {

class RandomStream {
 public:
  // Streams of different names are independent, so a knob more in a file leaves the draws of the others as they were.
  RandomStream(std::int64_t seed, const std::string& name);

  // The next draw from [0, 1): the upper 53 bits of a 64-bit Mersenne twister, whose sequence the C++ standard fixes.
  double uniform();
  // The next draw from 0 to `count` - 1, each as likely as any other up to count / 2^53. `count` is 1 or more.
  std::int64_t below(std::int64_t count);

 private:
  std::mt19937_64 bits_;
};

}  // namespace moelab::core
