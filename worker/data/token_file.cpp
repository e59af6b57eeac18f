#include "worker/data/token_file.h"

#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <string_view>

#include "core/error.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;

[[noreturn]] void refuse(const std::string& key, const fs::path& file, const std::string& why) {
  throw Error(ErrorKind::data, key + ": " + file.string() + ": " + why);
}

std::optional<TokenType> type_named(const std::string& name) {
  static const std::map<std::string, TokenType> kTypes = {{"uint16", TokenType::uint16}, {"int32", TokenType::int32},
                                                          {"int64", TokenType::int64},   {"<u2", TokenType::uint16},
                                                          {"<i4", TokenType::int32},     {"<i8", TokenType::int64}};
  const auto it = kTypes.find(name);
  return it == kTypes.end() ? std::nullopt : std::optional(it->second);
}

// NumPy's format: 6 magic bytes, 2 version bytes, header length (2 bytes in version 1, else 4), a Python dict literal.
TokenMatrix read_npy(const fs::path& file, std::shared_ptr<const MappedFile> map, const std::string& key) {
  const std::string_view all = map->text();
  if (all.size() < 12 || all.substr(0, 6) != "\x93NUMPY") refuse(key, file, "not a NumPy .npy file");
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(all[i])); };
  const bool first_version = byte(6) == 1;
  const std::size_t start = first_version ? 10 : 12;
  const std::size_t length = first_version ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (start + length > all.size()) refuse(key, file, "the .npy header is cut short");
  const std::string header(all.substr(start, length));
  std::smatch descr, shape;
  if (!std::regex_search(header, descr, std::regex("'descr': *'([^']+)'"))) refuse(key, file, "needs a plain integer dtype, not records");
  const std::optional<TokenType> type = type_named(descr[1].str());
  if (!type) refuse(key, file, "dtype " + descr[1].str() + " is not supported; save it as uint16, int32 or int64");
  if (!std::regex_search(header, shape, std::regex("'shape': *\\(([0-9]+), *([0-9]*)\\)")))
    refuse(key, file, "must have one or two dimensions; save tokens.reshape(-1) for one sequence");
  if (header.find("'fortran_order': True") != std::string::npos)
    refuse(key, file, "is in Fortran order; save numpy.ascontiguousarray(tokens)");
  const bool one_dimension = shape[2].length() == 0;
  const std::int64_t rows = one_dimension ? 1 : std::stoll(shape[1].str());
  const std::int64_t columns = std::stoll(shape[one_dimension ? 1 : 2].str());
  std::int64_t count = 0;
  if (__builtin_mul_overflow(rows, columns, &count)) refuse(key, file, "has an impossible shape");
  const auto offset = static_cast<std::int64_t>(start + length);
  if (count > (static_cast<std::int64_t>(all.size()) - offset) / bytes_of(*type))
    refuse(key, file, "is cut short: fewer ids than its header says");
  return {TokenArray(std::move(map), offset, *type, count), rows, columns, one_dimension};
}

nlohmann::json read_sidecar(const fs::path& file, const std::string& key) {
  fs::path sidecar = file;
  sidecar.replace_extension(".json");
  std::ifstream in(sidecar);
  if (!in) return nlohmann::json::object();
  nlohmann::json json = nlohmann::json::parse(in, nullptr, false);
  if (!json.is_object()) refuse(key, sidecar, "not a JSON object");
  return json;
}

TokenArray read_bin(const fs::path& file, std::shared_ptr<const MappedFile> map, std::int64_t vocab_size, const std::string& key) {
  const nlohmann::json sidecar = read_sidecar(file, key);
  const std::string dtype = sidecar.value("dtype", "uint16");
  const std::optional<TokenType> type = type_named(dtype);
  if (!type) refuse(key, file, "its sidecar names dtype " + dtype + "; uint16, int32 and int64 are supported");
  const auto bytes = static_cast<std::int64_t>(map->bytes());
  if (bytes % bytes_of(*type) != 0) refuse(key, file, "its size is not a whole number of " + dtype + " ids");
  const std::int64_t count = bytes / bytes_of(*type);
  if (sidecar.contains("count") && sidecar["count"] != count) {
    refuse(key, file, "holds " + std::to_string(count) + " ids, but its sidecar says " + sidecar["count"].dump());
  }
  if (sidecar.contains("vocab") && sidecar["vocab"] != vocab_size) {
    refuse(key, file, "was made with a vocabulary of " + sidecar["vocab"].dump() + "; set model.vocab_size to it");
  }
  return {std::move(map), 0, *type, count};
}

}  // namespace

TokenMatrix read_token_matrix(const fs::path& file, std::int64_t vocab_size, const std::string& key) {
  std::error_code error;
  if (!fs::exists(file, error)) throw Error(ErrorKind::data, key + ": no such file: " + file.string());
  const std::string extension = file.extension().string();
  if (extension != ".npy" && extension != ".bin") refuse(key, file, "is neither .npy nor .bin");
  auto map = std::make_shared<const MappedFile>(file);
  TokenMatrix matrix;
  if (extension == ".npy") {
    matrix = read_npy(file, std::move(map), key);
  } else {
    matrix.ids = read_bin(file, std::move(map), vocab_size, key);
    matrix.columns = matrix.ids.size();
  }
  const TokenArray& tokens = matrix.ids;
  if (tokens.size() == 0) refuse(key, file, "holds no tokens");
  const std::int64_t bad = tokens.first_outside(vocab_size);
  if (bad < tokens.size()) {
    std::int64_t id = 0;
    tokens.copy(bad, 1, &id);
    refuse(key, file,
           "id " + std::to_string(id) + " at position " + std::to_string(bad) + " is outside model.vocab_size " +
               std::to_string(vocab_size) + "; raise model.vocab_size or use the tokenizer that made the file");
  }
  return matrix;
}

TokenArray read_token_file(const fs::path& file, std::int64_t vocab_size, const std::string& key) {
  const TokenMatrix matrix = read_token_matrix(file, vocab_size, key);
  if (!matrix.one_dimension) refuse(key, file, "must have one dimension; save tokens.reshape(-1)");
  return matrix.ids;
}

}  // namespace moelab::worker
