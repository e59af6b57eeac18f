// Owns a flat sequence of token ids that lives in a mapped file. Read by blocks and by checks; cheap to copy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <utility>

#include "worker/data/mapped_file.h"

namespace moelab::worker {

enum class TokenType { uint16, int32, int64 };

constexpr std::int64_t bytes_of(TokenType type) {
  return type == TokenType::uint16 ? 2 : type == TokenType::int32 ? 4 : 8;
}
// The narrowest type that holds every id below vocab_size.
constexpr TokenType token_type_for(std::int64_t vocab_size) {
  return vocab_size <= 65536 ? TokenType::uint16 : TokenType::int32;
}

class TokenArray {
 public:
  TokenArray() = default;
  // count little-endian ids starting offset bytes into the file; the caller has checked that they fit.
  TokenArray(std::shared_ptr<const MappedFile> file, std::int64_t offset, TokenType type, std::int64_t count)
      : file_(std::move(file)), offset_(offset), type_(type), count_(count) {}

  std::int64_t size() const { return count_; }
  // Writes ids [begin, begin + count) to out.
  void copy(std::int64_t begin, std::int64_t count, std::int64_t* out) const;
  // Position of the first id outside [0, vocab_size), or size() when all fit. Reads everything.
  std::int64_t first_outside(std::int64_t vocab_size) const;

 private:
  std::shared_ptr<const MappedFile> file_;
  std::int64_t offset_ = 0;
  TokenType type_ = TokenType::uint16;
  std::int64_t count_ = 0;
};

}  // namespace moelab::worker
