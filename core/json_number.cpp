#include "core/json_number.h"

#include <cmath>
#include <limits>

#include "core/error.h"

namespace moelab::core {

nlohmann::json number_to_json(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

double number_from_json(const nlohmann::json& json) {
  if (json.is_number()) return json.get<double>();
  if (json == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (json == "Infinity") return std::numeric_limits<double>::infinity();
  if (json == "-Infinity") return -std::numeric_limits<double>::infinity();
  throw Error(ErrorKind::config, "must be a number, \"NaN\", \"Infinity\" or \"-Infinity\", not " + json.dump());
}

}  // namespace moelab::core
