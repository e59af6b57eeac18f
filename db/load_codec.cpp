#include "db/load_codec.h"

#include "core/error.h"

namespace moelab::db {

std::string encode_counts(const std::vector<std::int64_t>& counts) {
  std::string blob;
  blob.reserve(counts.size() * 2);
  for (const std::int64_t count : counts) {
    if (count < 0) throw core::Error(core::ErrorKind::storage, "an expert-load count is negative: " + std::to_string(count));
    auto rest = static_cast<std::uint64_t>(count);
    for (; rest >= 0x80; rest >>= 7) blob.push_back(static_cast<char>(rest | 0x80));
    blob.push_back(static_cast<char>(rest));
  }
  return blob;
}

std::vector<std::int64_t> decode_counts(const std::string& blob, std::size_t size) {
  std::vector<std::int64_t> counts;
  counts.reserve(size);
  std::uint64_t value = 0;
  int shift = 0;
  for (const char c : blob) {
    const auto byte = static_cast<unsigned char>(c);
    if (shift > 56) break;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    shift += 7;
    if (byte & 0x80) continue;
    counts.push_back(static_cast<std::int64_t>(value));
    value = 0;
    shift = 0;
  }
  if (counts.size() != size || shift != 0) {
    throw core::Error(core::ErrorKind::storage, "an expert-load frame is damaged: " + std::to_string(counts.size()) +
                                                    " counts instead of " + std::to_string(size) + ". Run `moelab db rebuild`");
  }
  return counts;
}

}  // namespace moelab::db
