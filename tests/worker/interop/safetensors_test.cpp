#include "worker/interop/safetensors.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/worker/interop/temp_dir.h"
#include "worker/interop/safetensors_directory.h"

namespace moelab::worker::test {
namespace {

using nlohmann::json;

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

std::string file_of(const std::string& header, const std::string& data) {
  const std::uint64_t size = header.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + header + data;
}

json entry(const char* dtype, const json& shape, std::uint64_t begin, std::uint64_t end) {
  return {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, end}}};
}

// The one error of reading `file`: its kind, and a message that names the file and every part of `mentions`.
void check_refused(const std::filesystem::path& file, const std::vector<std::string>& mentions, const std::function<void()>& read,
                   core::ErrorKind kind = core::ErrorKind::storage) {
  try {
    read();
  } catch (const core::Error& error) {
    const std::string message = error.what();
    CAPTURE(message);
    CHECK(error.kind() == kind);
    CHECK(message.find(file.string()) != std::string::npos);
    for (const auto& part : mentions) CHECK_MESSAGE(message.find(part) != std::string::npos, part);
    CHECK(message.find('\n') == std::string::npos);
    return;
  }
  FAIL("not refused: " << file.filename().string());
}

}  // namespace

TEST_CASE("what is written is read back, types, shapes, values and metadata") {
  TempDir dir;
  torch::manual_seed(1);
  const TensorMap tensors{
      {"double", torch::randn({3, 2}, torch::kFloat64)},
      {"float.transposed", torch::randn({4, 5}).t()},
      {"half", torch::randn({7}).to(torch::kFloat16)},
      {"bfloat", torch::randn({3}).to(torch::kBFloat16)},
      {"long", torch::randint(-1000000, 1000000, {2, 2}, torch::kInt64)},
      {"int", torch::tensor({1, -2}, torch::kInt32)},
      {"short", torch::tensor({3, -4}, torch::kInt16)},
      {"byte", torch::tensor({250}, torch::kUInt8)},
      {"char", torch::tensor({-5}, torch::kInt8)},
      {"bool", torch::tensor({true, false, true})},
      {"empty", torch::empty({0, 4})},
      {"scalar", torch::tensor(2.5)},
  };
  write_safetensors(dir / "a.safetensors", tensors, {{"step", "7"}, {"note", "q\"uote"}});
  CHECK_FALSE(std::filesystem::exists(dir / "a.safetensors.tmp"));
  const auto read = read_safetensors(dir / "a.safetensors");
  CHECK(read.metadata == std::map<std::string, std::string>{{"step", "7"}, {"note", "q\"uote"}});
  REQUIRE(read.tensors.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    CAPTURE(name);
    const auto& back = read.tensors.at(name);
    CHECK((back.scalar_type() == tensor.scalar_type()));
    CHECK(back.is_contiguous());
    CHECK(back.equal(tensor));
  }
}

TEST_CASE("tensors read from a file may be written to without changing it, and outlive it") {
  TempDir dir;
  write_safetensors(dir / "a.safetensors", {{"w", torch::ones({1000})}});
  auto tensor = read_safetensors(dir / "a.safetensors").tensors.at("w");
  tensor.fill_(3);
  CHECK(read_safetensors(dir / "a.safetensors").tensors.at("w").eq(1).all().item<bool>());
  std::filesystem::remove(dir / "a.safetensors");
  CHECK(tensor.eq(3).all().item<bool>());
}

TEST_CASE("data that is not aligned to its type is read all the same") {
  TempDir dir;
  json header = {{"byte", entry("U8", {1}, 0, 1)}, {"float", entry("F32", {1}, 1, 5)}};
  const float value = 1.25f;
  std::string data(5, '\7');
  std::memcpy(data.data() + 1, &value, sizeof value);
  write_bytes(dir / "a.safetensors", file_of(header.dump(), data));
  const auto tensors = read_safetensors(dir / "a.safetensors").tensors;
  CHECK(tensors.at("byte").item<int>() == 7);
  CHECK(tensors.at("float").item<float>() == value);
}

TEST_CASE("every malformed file is refused with one error that names the file and the tensor") {
  TempDir dir;
  const auto file = dir / "bad.safetensors";
  const auto refuse = [&](const std::string& bytes, const std::vector<std::string>& mentions) {
    write_bytes(file, bytes);
    check_refused(file, mentions, [&] { read_safetensors(file); });
  };
  const std::string eight(8, '\0');
  SUBCASE("empty") {
    refuse("", {"too short"});
  }
  SUBCASE("shorter than its length field") {
    refuse("abc", {"too short"});
  }
  SUBCASE("header beyond the end") {
    refuse(file_of("{}", "").substr(0, 9), {"truncated within its header"});
  }
  SUBCASE("absurd header length") {
    refuse(std::string(8, '\x7f') + "{}", {"not a safetensors file"});
  }
  SUBCASE("not JSON") {
    refuse(file_of("{\"a\": ", ""), {"not valid JSON"});
  }
  SUBCASE("not an object") {
    refuse(file_of("[1]", ""), {"not a JSON object"});
  }
  SUBCASE("no dtype") {
    refuse(file_of(R"({"w": {"shape": [2], "data_offsets": [0, 8]}})", eight), {"tensor w", "dtype"});
  }
  SUBCASE("unknown dtype") {
    refuse(file_of(json{{"w", entry("F8_E4M3", {8}, 0, 8)}}.dump(), eight), {"tensor w", "F8_E4M3"});
  }
  SUBCASE("negative extent") {
    refuse(file_of(json{{"w", entry("F32", {-2}, 0, 8)}}.dump(), eight), {"tensor w", "shape"});
  }
  SUBCASE("fractional extent") {
    refuse(file_of(json{{"w", entry("F32", {2.0}, 0, 8)}}.dump(), eight), {"tensor w", "shape"});
  }
  SUBCASE("no shape") {
    refuse(file_of(R"({"w": {"dtype": "F32", "data_offsets": [0, 8]}})", eight), {"tensor w", "shape"});
  }
  SUBCASE("one offset") {
    refuse(file_of(R"({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0]}})", eight), {"tensor w", "data_offsets"});
  }
  SUBCASE("shape larger than the range") {
    refuse(file_of(json{{"w", entry("F32", {3}, 0, 8)}}.dump(), eight), {"tensor w", "12 bytes"});
  }
  SUBCASE("shape that overflows") {
    refuse(file_of(json{{"w", entry("F32", {4294967296, 4294967296}, 0, 0)}}.dump(), ""), {"tensor w", "impossible shape"});
  }
  SUBCASE("backward range") {
    refuse(file_of(json{{"w", entry("F32", {2}, 8, 0)}}.dump(), eight), {"tensor w", "data_offsets"});
  }
  SUBCASE("data cut off") {
    refuse(file_of(json{{"w", entry("F32", {2}, 0, 8)}}.dump(), "1234567"), {"tensor w", "truncated"});
  }
  SUBCASE("data too long") {
    refuse(file_of(json{{"w", entry("F32", {2}, 0, 8)}}.dump(), eight + "x"), {"1 bytes follow"});
  }
  SUBCASE("overlap") {
    refuse(file_of(json{{"a", entry("F32", {2}, 0, 8)}, {"b", entry("F32", {1}, 4, 8)}}.dump(), eight), {"tensor b", "overlaps"});
  }
  SUBCASE("gap") {
    refuse(file_of(json{{"a", entry("F32", {1}, 0, 4)}, {"b", entry("U8", {2}, 6, 8)}}.dump(), eight), {"tensor b", "gap"});
  }
  SUBCASE("a name twice") {
    const auto one = entry("F32", {2}, 0, 8).dump();
    refuse(file_of("{\"w\": " + one + ", \"w\": " + one + "}", eight), {"tensor w", "twice"});
  }
  SUBCASE("metadata that is not text") {
    refuse(file_of(R"({"__metadata__": {"step": 3}})", ""), {"__metadata__.step"});
  }
}

TEST_CASE("NaN and infinity are refused unless allowed") {
  TempDir dir;
  const auto file = dir / "a.safetensors";
  for (const float bad : {std::nanf(""), INFINITY}) {
    write_safetensors(file, {{"fine", torch::ones({3})}, {"broken", torch::tensor({1.0f, bad})}});
    check_refused(file, {"tensor broken", "NaN or infinity"}, [&] { read_safetensors(file); });
    CHECK(read_safetensors(file, NonFinite::allow).tensors.at("broken")[1].isfinite().item<bool>() == false);
  }
}

TEST_CASE("a file that is not there, or cannot be written") {
  TempDir dir;
  check_refused(
      dir / "none.safetensors", {"cannot open"}, [&] { read_safetensors(dir / "none.safetensors"); }, core::ErrorKind::not_found);
  check_refused(dir.path(), {"not a regular file"}, [&] { read_safetensors(dir.path()); });
  const auto nowhere = dir / "missing/a.safetensors";
  check_refused(nowhere, {"cannot write"}, [&] { write_safetensors(nowhere, {{"w", torch::ones({1})}}); });
  // A directory in the way: the rename fails, and the temporary file goes.
  std::filesystem::create_directories(dir / "taken/inside");
  check_refused(dir / "taken", {"cannot write"}, [&] { write_safetensors(dir / "taken", {{"w", torch::ones({1})}}); });
  CHECK_FALSE(std::filesystem::exists(dir / "taken.tmp"));
}

TEST_CASE("a failed write leaves the old file as it was") {
  TempDir dir;
  const auto file = dir / "a.safetensors";
  write_safetensors(file, {{"w", torch::ones({4})}});
  const auto before = bytes_of(file);
  CHECK_THROWS_AS(write_safetensors(file, {{"w", torch::complex(torch::ones({1}), torch::ones({1}))}}), core::Error);
  CHECK(bytes_of(file) == before);
}

TEST_CASE("shards are read together, and must agree with their index") {
  TempDir dir;
  write_safetensors(dir / "model-00001-of-00002.safetensors", {{"a", torch::full({2}, 1.f)}, {"b", torch::full({2}, 2.f)}});
  write_safetensors(dir / "model-00002-of-00002.safetensors", {{"c", torch::full({2}, 3.f)}});
  const auto index_file = dir / "model.safetensors.index.json";
  const auto write_index = [&](const json& map) { std::ofstream(index_file) << json{{"metadata", json::object()}, {"weight_map", map}}; };
  const json good{
      {"a", "model-00001-of-00002.safetensors"}, {"b", "model-00001-of-00002.safetensors"}, {"c", "model-00002-of-00002.safetensors"}};
  write_index(good);
  const auto tensors = read_safetensors_directory(dir.path());
  REQUIRE(tensors.size() == 3);
  CHECK(tensors.at("b").eq(2).all().item<bool>());
  CHECK(tensors.at("c").eq(3).all().item<bool>());

  const auto read = [&] { read_safetensors_directory(dir.path()); };
  auto more = good;
  more["d"] = "model-00002-of-00002.safetensors";
  write_index(more);
  check_refused(dir / "model-00002-of-00002.safetensors", {"tensor d", "missing"}, read);
  auto fewer = good;
  fewer.erase("b");
  write_index(fewer);
  check_refused(dir / "model-00001-of-00002.safetensors", {"tensor b", "not in the index"}, read);
  auto outside = good;
  outside["a"] = "../model.safetensors";
  write_index(outside);
  check_refused(index_file, {"tensor a", "no file of its directory"}, read);
  auto gone = good;
  gone["a"] = "model-00009.safetensors";
  write_index(gone);
  CHECK_THROWS_AS(read(), core::Error);
  write_bytes(index_file, "{");
  check_refused(index_file, {"weight_map"}, read);
}

TEST_CASE("files of Transformers' own writer are read") {
  const auto golden = std::filesystem::path(MOELAB_SOURCE_DIR) / "tests" / "golden" / "llama";
  const auto tensors = read_safetensors_directory(golden);
  CHECK(tensors.at("model.embed_tokens.weight").sizes() == torch::IntArrayRef({64, 16}));
  CHECK(read_safetensors(golden / "model.safetensors").metadata.at("format") == "pt");
}

}  // namespace moelab::worker::test
