#include "worker/data/npy_writer.h"

#include <bit>
#include <cassert>
#include <functional>
#include <numeric>
#include <string>

namespace moelab::worker {
namespace {

static_assert(std::endian::native == std::endian::little, "the header says little-endian");

constexpr std::size_t kPrefixBytes = 10;  // magic, version 1.0, length of the header
constexpr std::size_t kAlignment = 64;    // of the data, as NumPy writes it

std::string npy_header(const std::vector<std::int64_t>& shape) {
  std::string extents;
  for (const std::int64_t extent : shape) extents += std::to_string(extent) + ", ";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + extents + "), }";
  header.resize((kPrefixBytes + header.size() + kAlignment) / kAlignment * kAlignment - kPrefixBytes - 1, ' ');
  header += '\n';
  std::string prefix("\x93NUMPY\x01\x00", 8);
  prefix += static_cast<char>(header.size() & 0xff);
  prefix += static_cast<char>(header.size() >> 8);
  return prefix + header;
}

}  // namespace

NpyWriter::NpyWriter(const std::filesystem::path& file, const std::vector<std::int64_t>& shape)
    : file_(file), missing_(std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>())) {
  const std::string header = npy_header(shape);
  file_.write(header.data(), header.size());
}

void NpyWriter::append(std::span<const float> values) {
  missing_ -= static_cast<std::int64_t>(values.size());
  assert(missing_ >= 0);
  file_.write(values.data(), values.size_bytes());
}

void NpyWriter::commit() {
  assert(missing_ == 0);
  file_.commit();
}

}  // namespace moelab::worker
