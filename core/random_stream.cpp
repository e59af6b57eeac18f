#include "core/random_stream.h"

#include <algorithm>

#include "core/sha256.h"

namespace moelab::core {

RandomStream::RandomStream(std::int64_t seed, const std::string& name)
    : bits_(std::stoull(sha256_hex("sample " + std::to_string(seed) + ' ' + name).substr(0, 16), nullptr, 16)) {}

double RandomStream::uniform() {
  return static_cast<double>(bits_() >> 11) * 0x1p-53;
}

std::int64_t RandomStream::below(std::int64_t count) {
  return std::min(static_cast<std::int64_t>(uniform() * static_cast<double>(count)), count - 1);
}

}  // namespace moelab::core
