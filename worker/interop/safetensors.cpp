#include "worker/interop/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/error.h"
#include "worker/data/output_file.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation

struct TypeName {
  const char* name;
  torch::ScalarType type;
};
constexpr std::array<TypeName, 10> kTypes{{{"F64", torch::kFloat64},
                                           {"F32", torch::kFloat32},
                                           {"F16", torch::kFloat16},
                                           {"BF16", torch::kBFloat16},
                                           {"I64", torch::kInt64},
                                           {"I32", torch::kInt32},
                                           {"I16", torch::kInt16},
                                           {"I8", torch::kInt8},
                                           {"U8", torch::kUInt8},
                                           {"BOOL", torch::kBool}}};

[[noreturn]] void refuse(const fs::path& file, const std::string& what) {
  throw core::Error(core::ErrorKind::storage, file.string() + ": " + what + "; restore the file or name another");
}

[[noreturn]] void refuse_tensor(const fs::path& file, const std::string& tensor, const std::string& what) {
  refuse(file, "tensor " + tensor + " " + what);
}

// A whole file, mapped copy-on-write.
class Mapping {
 public:
  explicit Mapping(const fs::path& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      const auto kind = errno == ENOENT || errno == ENOTDIR ? core::ErrorKind::not_found : core::ErrorKind::storage;
      throw core::Error(kind, "cannot open " + file.string() + ": " + std::strerror(errno) + "; check the path and its permissions");
    }
    struct stat status {};
    const bool regular = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    size_ = regular ? static_cast<std::uint64_t>(status.st_size) : 0;
    if (size_ > 0) {
      void* start = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
      data_ = start == MAP_FAILED ? nullptr : static_cast<char*>(start);
    }
    ::close(fd);
    if (!regular) refuse(file, "is not a regular file");
    if (size_ > 0 && data_ == nullptr) refuse(file, "cannot be mapped into memory");
  }
  ~Mapping() {
    if (data_) ::munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  char* data() const { return data_; }
  std::uint64_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  std::uint64_t size_ = 0;
};

struct Entry {
  std::string name;
  torch::ScalarType type = torch::kFloat32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  // bytes after the header
};

// Refuses a name given twice, which a JSON object would silently resolve to the last.
json parse_header(const fs::path& file, const char* begin, const char* end) {
  std::set<std::string> names;
  const auto callback = [&](int depth, json::parse_event_t event, json& value) {
    if (depth == 1 && event == json::parse_event_t::key && !names.insert(value.get<std::string>()).second) {
      refuse_tensor(file, value.get<std::string>(), "is listed twice in the header");
    }
    return true;
  };
  json header;
  try {
    header = json::parse(begin, end, callback);
  } catch (const json::exception&) {
    refuse(file, "the header is not valid JSON");
  }
  if (!header.is_object()) refuse(file, "the header is not a JSON object");
  return header;
}

Entry parse_entry(const fs::path& file, const std::string& name, const json& value) {
  Entry entry{.name = name, .shape = {}};
  const auto is_size = [](const json& number) { return number.is_number_unsigned(); };
  const auto sizes = [&](const char* key) -> std::optional<json> {
    const auto found = value.find(key);
    if (found == value.end() || !found->is_array() || !std::all_of(found->begin(), found->end(), is_size)) return std::nullopt;
    return *found;
  };
  if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string()) refuse_tensor(file, name, "has no dtype");
  const auto type_name = value["dtype"].get<std::string>();
  const auto type = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeName& known) { return type_name == known.name; });
  if (type == kTypes.end()) refuse_tensor(file, name, "has the unsupported type " + type_name);
  entry.type = type->type;
  const auto shape = sizes("shape"), offsets = sizes("data_offsets");
  if (!shape) refuse_tensor(file, name, "has no valid shape");
  if (!offsets || offsets->size() != 2) refuse_tensor(file, name, "has no valid data_offsets");
  entry.begin = (*offsets)[0].get<std::uint64_t>();
  entry.end = (*offsets)[1].get<std::uint64_t>();

  std::uint64_t bytes = torch::elementSize(entry.type);
  for (const auto& extent : *shape) {
    const auto size = extent.get<std::uint64_t>();
    if (__builtin_mul_overflow(bytes, size, &bytes) || size > INT64_MAX) refuse_tensor(file, name, "has an impossible shape");
    entry.shape.push_back(static_cast<std::int64_t>(size));
  }
  if (entry.end < entry.begin || entry.end - entry.begin != bytes) {
    refuse_tensor(file, name, "needs " + std::to_string(bytes) + " bytes for its shape, but its data_offsets do not span them");
  }
  return entry;
}

// The byte ranges must tile the data exactly: an overlap or a gap means that header and data belong to different files.
void check_tiling(const fs::path& file, std::vector<Entry>& entries, std::uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  std::uint64_t next = 0;
  for (const auto& entry : entries) {
    if (entry.end > data_bytes) refuse_tensor(file, entry.name, "lies beyond the end of the file, which is truncated");
    if (entry.begin != next) refuse_tensor(file, entry.name, entry.begin < next ? "overlaps another tensor" : "leaves a gap before it");
    next = entry.end;
  }
  if (next != data_bytes) refuse(file, std::to_string(data_bytes - next) + " bytes follow the last tensor");
}

torch::Tensor tensor_in(const std::shared_ptr<Mapping>& mapping, std::uint64_t data_start, const Entry& entry) {
  const auto options = torch::TensorOptions().dtype(entry.type);
  if (entry.begin == entry.end) return torch::empty(entry.shape, options);
  char* start = mapping->data() + data_start + entry.begin;
  if (reinterpret_cast<std::uintptr_t>(start) % torch::elementSize(entry.type) != 0) {
    auto copy = torch::empty(entry.shape, options);
    std::memcpy(copy.mutable_data_ptr(), start, entry.end - entry.begin);
    return copy;
  }
  return torch::from_blob(
      start, entry.shape, [mapping](void*) {}, options);
}

json header_of(const std::vector<std::pair<std::string, torch::Tensor>>& tensors, const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto type = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeName& t) { return t.type == tensor.scalar_type(); });
    if (type == kTypes.end()) throw core::Error(core::ErrorKind::internal, "tensor " + name + " has a type that safetensors does not know");
    const auto end = offset + static_cast<std::uint64_t>(tensor.nbytes());
    header[name] = {{"dtype", type->name}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  return header;
}

}  // namespace

Safetensors read_safetensors(const fs::path& file, NonFinite non_finite) {
  const auto mapping = std::make_shared<Mapping>(file);
  std::uint64_t header_bytes = 0;
  if (mapping->size() < sizeof header_bytes) refuse(file, "is too short to be a safetensors file");
  std::memcpy(&header_bytes, mapping->data(), sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes) refuse(file, "is not a safetensors file, or its header is damaged");
  const std::uint64_t data_start = sizeof header_bytes + header_bytes;
  if (data_start > mapping->size()) refuse(file, "is truncated within its header");

  Safetensors out;
  std::vector<Entry> entries;
  const char* header_start = mapping->data() + sizeof header_bytes;
  const auto header = parse_header(file, header_start, header_start + header_bytes);
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(file, name, value));
      continue;
    }
    if (!value.is_object()) refuse(file, "__metadata__ is not an object");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) refuse(file, "__metadata__." + key + " is not a string");
      out.metadata[key] = text.get<std::string>();
    }
  }
  check_tiling(file, entries, mapping->size() - data_start);
  for (const auto& entry : entries) {
    auto tensor = tensor_in(mapping, data_start, entry);
    if (non_finite == NonFinite::refuse && tensor.is_floating_point() && !tensor.isfinite().all().item<bool>()) {
      refuse_tensor(file, entry.name, "holds NaN or infinity");
    }
    out.tensors.emplace(entry.name, std::move(tensor));
  }
  return out;
}

void write_safetensors(const fs::path& file, const TensorMap& tensors, const std::map<std::string, std::string>& metadata) {
  // Wide types first keep every tensor aligned to its element size, so that readers can map it.
  std::vector<std::pair<std::string, torch::Tensor>> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.second.element_size() > b.second.element_size(); });
  auto header = header_of(ordered, metadata).dump();
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t header_bytes = header.size();

  OutputFile out(file);
  out.write(&header_bytes, sizeof header_bytes);
  out.write(header.data(), header.size());
  for (const auto& [name, tensor] : ordered) {
    const auto host = tensor.detach().to(torch::kCPU).contiguous();
    out.write(host.const_data_ptr(), host.nbytes());
  }
  out.commit();
}

}  // namespace moelab::worker
