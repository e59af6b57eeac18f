#include "worker/data/token_array.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace moelab::worker {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are read in place");

template <class T>
void widen(const std::byte* from, std::int64_t count, std::int64_t* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    T value;  // an .npy header may leave the data unaligned for T
    std::memcpy(&value, from + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
    out[i] = static_cast<std::int64_t>(value);
  }
}

}  // namespace

void TokenArray::copy(std::int64_t begin, std::int64_t count, std::int64_t* out) const {
  assert(begin >= 0 && count >= 0 && begin + count <= count_);
  const std::byte* from = file_->data() + offset_ + begin * bytes_of(type_);
  switch (type_) {
    case TokenType::uint16:
      return widen<std::uint16_t>(from, count, out);
    case TokenType::int32:
      return widen<std::int32_t>(from, count, out);
    case TokenType::int64:
      return widen<std::int64_t>(from, count, out);
  }
}

std::int64_t TokenArray::first_outside(std::int64_t vocab_size) const {
  constexpr std::int64_t kChunk = 4096;
  std::int64_t ids[kChunk];
  for (std::int64_t begin = 0; begin < count_; begin += kChunk) {
    const std::int64_t count = std::min(kChunk, count_ - begin);
    copy(begin, count, ids);
    for (std::int64_t i = 0; i < count; ++i) {
      if (ids[i] < 0 || ids[i] >= vocab_size) return begin + i;
    }
  }
  return count_;
}

}  // namespace moelab::worker
