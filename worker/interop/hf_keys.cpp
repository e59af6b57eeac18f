#include "worker/interop/hf_keys.h"

#include <utility>

#include "core/error.h"

namespace moelab::worker {
namespace {

// Keys that do not change the logits, whatever their value.
const std::set<std::string> kNeutralKeys{
    "architectures", "model_type", "dtype",    "torch_dtype", "transformers_version", "use_cache",
    "_name_or_path", "id2label",   "label2id", "return_dict", "output_router_logits", "router_aux_loss_coef"};

}  // namespace

HfKeys::HfKeys(nlohmann::json object, std::string where) : object_(std::move(object)), where_(std::move(where)) {}

void HfKeys::refuse(const std::string& key, const std::string& why) const {
  throw core::Error(core::ErrorKind::config, where_ + ": " + key + " " + why);
}

void HfKeys::require_null(const std::string& key) {
  if (const nlohmann::json* value = find(key)) refuse(key, "= " + value->dump() + " cannot be represented; only null can");
}

std::int64_t HfKeys::get_count(const std::string& key, std::int64_t absent, std::int64_t least) {
  const auto value = get<std::int64_t>(key, absent);
  if (value < least) refuse(key, "= " + std::to_string(value) + " must be at least " + std::to_string(least));
  return value;
}

std::int64_t HfKeys::get_count(const std::string& key, const std::string& alias, std::int64_t absent, std::int64_t least) {
  const bool first = find(key) != nullptr, second = find(alias) != nullptr;
  const auto value = get_count(first || !second ? key : alias, absent, least);
  if (first && second && get_count(alias, absent, least) != value) refuse(key, "and " + alias + " differ; remove the wrong one");
  return value;
}

const nlohmann::json* HfKeys::find(const std::string& key) {
  seen_.insert(key);
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void HfKeys::refuse_unknown() const {
  for (const auto& [key, value] : object_.items()) {
    const bool off = value.is_null() || value == false;
    if (!off && !seen_.contains(key) && !kNeutralKeys.contains(key)) {
      refuse(key, "is not known, so its effect is not either; remove it from the file if it has none");
    }
  }
}

}  // namespace moelab::worker
