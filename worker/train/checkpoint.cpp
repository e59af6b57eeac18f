#include "worker/train/checkpoint.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/config_json.h"
#include "core/error.h"
#include "core/json_number.h"
#include "core/sha256.h"
#include "worker/data/durable_file.h"
#include "worker/data/mapped_file.h"

namespace moelab::worker {
namespace {

namespace fs = std::filesystem;
using core::Error;
using core::ErrorKind;
using nlohmann::json;

constexpr int kStateFormat = 1;
constexpr const char* kDone = "DONE";
constexpr const char* kTemporaryPrefix = ".tmp_";
constexpr std::uint64_t kSmallFiles = 256 << 10;  // of a checkpoint: its JSON files and the headers of the large ones

std::uint64_t bytes_of(const TensorMap& tensors) {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += tensor.nbytes();
  return bytes;
}

std::string megabytes(std::uint64_t bytes) {
  return std::to_string((bytes + 999'999) / 1'000'000) + " MB";
}

std::string name_of(std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step_%08lld", static_cast<long long>(step));
  return name;
}

bool is_checkpoint_name(const std::string& name) {
  return name.rfind("step_", 0) == 0 && name.size() > 5 &&
         std::all_of(name.begin() + 5, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Complete checkpoints, oldest first.
std::vector<fs::path> complete_in(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(directory, error)) {
    if (is_checkpoint_name(item.path().filename().string()) && fs::exists(item.path() / kDone)) found.push_back(item.path());
  }
  const auto step = [](const fs::path& path) { return std::stoll(path.filename().string().substr(5)); };
  std::sort(found.begin(), found.end(), [&](const fs::path& a, const fs::path& b) { return step(a) < step(b); });
  return found;
}

json numbers_to_json(const std::map<std::string, double>& values) {
  json out = json::object();
  for (const auto& [name, value] : values) out[name] = core::number_to_json(value);
  return out;
}

std::map<std::string, double> numbers_from_json(const json& values) {
  std::map<std::string, double> out;
  for (const auto& [name, value] : values.items()) out[name] = core::number_from_json(value);
  return out;
}

json state_to_json(const TrainingState& state) {
  return {{"format", kStateFormat},
          {"step", state.step},
          {"data_position", state.data_position},
          {"evaluated_step", state.evaluated_step},
          {"non_finite_steps", state.non_finite_steps},
          {"pruned_by", state.pruned_by},
          {"pruned_because", state.pruned_because},
          {"counters", state.counters},
          {"metrics", numbers_to_json(state.metrics)},
          {"eval", numbers_to_json(state.eval)}};
}

TrainingState state_from_json(const json& in) {
  if (in.at("format") != kStateFormat) throw Error(ErrorKind::storage, "was written by another version of Moelab");
  TrainingState state;
  state.step = in.at("step");
  state.data_position = in.at("data_position");
  state.evaluated_step = in.at("evaluated_step");
  state.non_finite_steps = in.at("non_finite_steps");
  state.pruned_by = in.at("pruned_by");
  state.pruned_because = in.at("pruned_because");
  state.counters = in.at("counters").get<std::map<std::string, std::int64_t>>();
  state.metrics = numbers_from_json(in.at("metrics"));
  state.eval = numbers_from_json(in.at("eval"));
  return state;
}

json read_json(const fs::path& file) {
  std::ifstream in(file);
  json parsed = json::parse(in, nullptr, false);
  if (!parsed.is_object()) throw Error(ErrorKind::storage, file.filename().string() + " is not a JSON object");
  return parsed;
}

void check_hashes(const fs::path& directory) {
  const json done = read_json(directory / kDone);
  for (const auto& [name, hash] : done.at("files").items()) {
    const auto found = core::sha256_of_file(directory / name);
    if (!found) throw Error(ErrorKind::storage, name + " is missing or cannot be read");
    if (*found != hash) throw Error(ErrorKind::storage, name + " does not match its hash");
  }
}

// eval/loss of a checkpoint that was evaluated at its own step; infinity otherwise.
double score(const fs::path& directory) {
  try {
    const TrainingState state = state_from_json(read_json(directory / "state.json"));
    const auto loss = state.eval.find("eval/loss");
    if (state.evaluated_step == state.step && loss != state.eval.end() && loss->second == loss->second) return loss->second;
  } catch (const std::exception&) {
    // Damaged: never the best. newest_good reports it should it ever be needed.
  }
  return std::numeric_limits<double>::infinity();
}

fs::path best_of(const std::vector<fs::path>& checkpoints) {
  fs::path best;
  double lowest = std::numeric_limits<double>::infinity();
  for (const fs::path& checkpoint : checkpoints) {
    const double loss = score(checkpoint);
    if (loss < lowest) std::tie(lowest, best) = std::pair(loss, checkpoint);
  }
  return best;
}

// Atomic, whether or not there is a checkpoint of that step already: then the two change places.
void put_in_place(const fs::path& temporary, const fs::path& final) {
  const unsigned int flags = fs::exists(final) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, final.c_str(), flags) != 0) {
    throw Error(ErrorKind::storage, final.string() + ": cannot rename into place: " + std::strerror(errno));
  }
  sync_path(final.parent_path());
}

}  // namespace

void write_checkpoint(const fs::path& directory, const core::RunConfig& config, const TensorMap& weights, const TrainingState& state,
                      const std::string& tokenizer) {
  write_durably(directory / "moedl.json", core::to_json(config).dump(2) + "\n");
  write_safetensors(directory / "model.safetensors", weights);
  if (!tokenizer.empty()) write_durably(directory / "tokenizer.model", tokenizer);
  write_safetensors(directory / "state.safetensors", state.tensors);
  write_durably(directory / "state.json", state_to_json(state).dump(2) + "\n");
  json files = json::object();
  for (const auto& file : fs::directory_iterator(directory))
    files[file.path().filename().string()] = core::sha256_hex(MappedFile(file.path()).text());
  write_durably(directory / kDone, json{{"files", files}}.dump(2) + "\n");
  sync_path(directory);
}

Checkpoint read_checkpoint(const fs::path& directory) {
  try {
    check_hashes(directory);
    Checkpoint checkpoint;
    checkpoint.directory = directory;
    checkpoint.config = core::config_from_json(read_json(directory / "moedl.json"), (directory / "moedl.json").string());
    checkpoint.state = state_from_json(read_json(directory / "state.json"));
    checkpoint.state.tensors = read_safetensors(directory / "state.safetensors", NonFinite::allow).tensors;
    checkpoint.weights = read_safetensors(directory / "model.safetensors").tensors;
    return checkpoint;
  } catch (const std::exception& error) {
    throw Error(ErrorKind::storage, "checkpoint " + directory.string() + " is damaged: " + error.what());
  }
}

std::optional<fs::path> find_checkpoint(const fs::path& directory) {
  if (fs::exists(directory / kDone) && fs::exists(directory / "moedl.json")) return directory;
  const std::vector<fs::path> found = complete_in(directory / "checkpoints");
  return found.empty() ? std::nullopt : std::optional(found.back());
}

void check_architecture(const Checkpoint& checkpoint, const core::RunConfig& run) {
  const json then = core::to_json(checkpoint.config), now = core::to_json(run);
  std::string differences;
  for (const char* section : {"model", "moe"}) {
    for (const auto& [name, value] : now.at(section).items()) {
      const json& before = then.at(section).at(name);
      if (before == value) continue;
      differences +=
          (differences.empty() ? "" : ", ") + std::string(section) + "." + name + " is " + value.dump() + " and was " + before.dump();
    }
  }
  if (!differences.empty()) {
    throw Error(ErrorKind::config, "checkpoint " + checkpoint.directory.string() + " holds another model: " + differences +
                                       "; restore the configuration, or start a new run");
  }
}

CheckpointStore::CheckpointStore(fs::path run_dir, const core::CheckpointConfig& keep)
    : directory_(std::move(run_dir) / "checkpoints"), keep_(keep) {}

CheckpointStore::Saved CheckpointStore::save(const core::RunConfig& config, const TensorMap& weights, const TrainingState& state,
                                             const std::string& tokenizer) {
  const std::string name = name_of(state.step);
  const fs::path temporary = directory_ / (kTemporaryPrefix + name), final = directory_ / name;
  try {
    make_directories(directory_);
    fs::remove_all(temporary);
    make_directories(temporary);
    write_checkpoint(temporary, config, weights, state, tokenizer);
    put_in_place(temporary, final);
    fs::remove_all(temporary);  // holds what was there before, if anything
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorKind::storage, std::string("the checkpoint could not be written: ") + error.what());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);  // give the space back
    throw;
  }
  const bool best = best_of(complete_in(directory_)) == final;
  prune(static_cast<std::size_t>(keep_.keep_last));
  return {final, best};
}

std::string CheckpointStore::why_no_room(const TensorMap& weights, const TrainingState& state, const std::string& tokenizer) const {
  const std::uint64_t needed = bytes_of(weights) + bytes_of(state.tensors) + tokenizer.size() + kSmallFiles;
  const auto missing = [&] {
    std::error_code unknown;
    const fs::space_info space = fs::space(directory_.parent_path(), unknown);
    return !unknown && space.available < needed + kDiskReserve ? std::optional(space.available) : std::nullopt;
  };
  if (!missing()) return "";
  if (fs::exists(directory_)) prune(static_cast<std::size_t>(std::max<std::int64_t>(1, keep_.keep_last - 1)));
  const auto available = missing();
  if (!available) return "";
  return directory_.string() + ": the disk has " + megabytes(*available) + " free; a checkpoint takes " + megabytes(needed) + " and " +
         megabytes(kDiskReserve) + " stay free for the journal. Free some space (`moelab gc`)";
}

void CheckpointStore::prune(std::size_t last) const {
  std::vector<fs::path> kept = complete_in(directory_);
  const fs::path best = keep_.keep_best > 0 ? best_of(kept) : fs::path();
  kept.erase(kept.begin(), kept.size() > last ? kept.end() - static_cast<std::ptrdiff_t>(last) : kept.begin());
  if (!best.empty()) kept.push_back(best);
  std::vector<fs::path> surplus;
  std::error_code unreadable;
  for (const auto& item : fs::directory_iterator(directory_, unreadable)) {
    const std::string name = item.path().filename().string();
    const bool ours = is_checkpoint_name(name) || name.rfind(kTemporaryPrefix, 0) == 0;
    if (ours && std::find(kept.begin(), kept.end(), item.path()) == kept.end()) surplus.push_back(item.path());
  }
  for (const fs::path& path : surplus) {
    std::error_code ignored;  // a checkpoint too many is no reason to lose a run
    fs::remove(path / kDone, ignored);
    fs::remove_all(path, ignored);
  }
}

std::optional<Checkpoint> CheckpointStore::newest_good(const std::function<void(const std::string&)>& on_damaged) const {
  const std::vector<fs::path> found = complete_in(directory_);
  std::vector<std::pair<fs::path, std::string>> damaged;
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    try {
      Checkpoint checkpoint = read_checkpoint(*it);
      for (const auto& [path, message] : damaged) {
        fs::path aside = path;
        aside += ".damaged";
        std::error_code ignored;
        fs::remove_all(aside, ignored);
        fs::rename(path, aside, ignored);
        on_damaged(message + "; going on from " + it->filename().string());
      }
      return checkpoint;
    } catch (const Error& error) {
      damaged.emplace_back(*it, error.what());
    }
  }
  if (damaged.empty()) return std::nullopt;
  std::string message = "no checkpoint of this run can be read";
  for (const auto& [path, reason] : damaged) message += "; " + reason;
  throw Error(ErrorKind::storage, message + "; delete " + directory_.string() + " to start from the beginning");
}

}  // namespace moelab::worker
