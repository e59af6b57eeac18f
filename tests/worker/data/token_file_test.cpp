// Token files: every supported form reads the same, and what cannot be trusted is refused by name.
#include "worker/data/token_file.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "tests/worker/data/temporary_directory.h"

namespace moelab::worker {
namespace {

using test::error_of;
using test::TemporaryDirectory;

template <class T>
std::string bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string npy(const std::string& descr, const std::string& shape, const std::string& data, int version = 1) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  const std::size_t prefix = version == 1 ? 10 : 12;
  while ((prefix + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string out = "\x93NUMPY" + std::string(1, static_cast<char>(version)) + std::string(1, '\0');
  for (std::size_t i = 0; i < prefix - 8; ++i) out += static_cast<char>(header.size() >> (8 * i) & 255);
  return out + header + data;
}

std::vector<std::int64_t> ids(const TokenArray& tokens) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(tokens.size()));
  tokens.copy(0, tokens.size(), out.data());
  return out;
}

TEST_CASE("npy of three types and both header versions, and bin with and without sidecar") {
  const TemporaryDirectory dir;
  const std::vector<std::int64_t> expected{5, 0, 40000, 7};
  const auto read = [&](const std::string& file) { return ids(read_token_file(file, 50000, "data.tokens")); };
  const std::string u16 = bytes<std::uint16_t>({5, 0, 40000, 7}), i32 = bytes<std::int32_t>({5, 0, 40000, 7}),
                    i64 = bytes<std::int64_t>({5, 0, 40000, 7});
  CHECK(read(dir.write("a.npy", npy("<u2", "(4,)", u16))) == expected);
  CHECK(read(dir.write("b.npy", npy("<i4", "(4,)", i32, 2))) == expected);
  CHECK(read(dir.write("c.npy", npy("<i8", "(4,)", i64))) == expected);
  CHECK(read(dir.write("d.bin", u16)) == expected);
  dir.write("e.json", R"({"vocab": 50000, "count": 4, "dtype": "int32", "tokenizer": "x"})");
  CHECK(read(dir.write("e.bin", i32)) == expected);
}

TEST_CASE("what cannot be trusted is refused") {
  const TemporaryDirectory dir;
  const auto why = [&](const std::string& name, const std::string& content) {
    const std::string file = dir.write(name, content);
    const std::string message = error_of([&] { read_token_file(file, 100, "data.tokens"); });
    const std::string prefix = "data.tokens: " + file + ": ";
    REQUIRE(message.substr(0, prefix.size()) == prefix);
    return message.substr(prefix.size());
  };
  const std::string three = bytes<std::uint16_t>({1, 2, 3});
  CHECK(why("id.bin", bytes<std::uint16_t>({1, 2, 100, 3})) ==
        "id 100 at position 2 is outside model.vocab_size 100; raise model.vocab_size or use the tokenizer that made the file");
  CHECK(why("negative.npy", npy("<i4", "(2,)", bytes<std::int32_t>({1, -1}))).substr(0, 19) == "id -1 at position 1");
  CHECK(why("float.npy", npy("<f4", "(2,)", std::string(8, '\0'))) == "dtype <f4 is not supported; save it as uint16, int32 or int64");
  CHECK(why("big.npy", npy(">u2", "(3,)", three)) == "dtype >u2 is not supported; save it as uint16, int32 or int64");
  CHECK(why("matrix.npy", npy("<u2", "(3, 1)", three)) == "must have one dimension; save tokens.reshape(-1)");
  CHECK(why("short.npy", npy("<u2", "(4,)", three)) == "is cut short: fewer ids than its header says");
  CHECK(why("nonsense.npy", "nonsense, long enough") == "not a NumPy .npy file");
  CHECK(why("odd.bin", "abc") == "its size is not a whole number of uint16 ids");
  CHECK(why("empty.bin", "") == "holds no tokens");
  CHECK(why("text.txt", "x") == "is neither .npy nor .bin");
  dir.write("count.json", R"({"count": 4})");
  CHECK(why("count.bin", three) == "holds 3 ids, but its sidecar says 4");
  dir.write("vocab.json", R"({"vocab": 99})");
  CHECK(why("vocab.bin", three) == "was made with a vocabulary of 99; set model.vocab_size to it");
  CHECK(error_of([&] { read_token_file(dir.path() / "none.npy", 100, "data.val_tokens"); }) ==
        "data.val_tokens: no such file: " + (dir.path() / "none.npy").string());
}

}  // namespace
}  // namespace moelab::worker
