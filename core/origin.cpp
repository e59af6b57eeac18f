#include "core/origin.h"

namespace moelab::core {

std::optional<std::string> origin_of(const RunConfig& config) {
  const std::string& source = config.train.init_from;
  if (!source.starts_with(kRunPrefix)) return std::nullopt;
  return source.substr(kRunPrefix.size());
}

}  // namespace moelab::core
