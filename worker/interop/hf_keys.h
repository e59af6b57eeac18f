// Owns the reading of one JSON object of a config.json: it remembers which keys were asked for, so that what nobody asked for
// can be refused. Used by hf_config only.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <type_traits>

namespace moelab::worker {

class HfKeys {
 public:
  // where: the file, for messages.
  HfKeys(nlohmann::json object, std::string where);

  // Throws Error(config): "WHERE: KEY WHY".
  [[noreturn]] void refuse(const std::string& key, const std::string& why) const;
  // What Moedl has one value for. `off` is that value, `absent` the class default.
  template <class T>
  void require(const std::string& key, const T& absent, const T& off) {
    const T value = get<T>(key, absent);
    if (value != off) {
      refuse(key, "= " + nlohmann::json(value).dump() + " cannot be represented; only " + nlohmann::json(off).dump() + " can");
    }
  }
  void require_null(const std::string& key);
  // A key without effect here, whatever its value.
  void ignore(const std::string& key) { seen_.insert(key); }
  // In the file, even if null.
  bool contains(const std::string& key) const { return object_.contains(key); }
  template <class T>
  T get(const std::string& key, const T& absent) {
    const nlohmann::json* value = find(key);
    return value ? convert<T>(key, *value) : absent;
  }
  std::int64_t get_count(const std::string& key, std::int64_t absent, std::int64_t least);
  // A key with another spelling in some versions; both present must agree.
  std::int64_t get_count(const std::string& key, const std::string& alias, std::int64_t absent, std::int64_t least);
  // Present and not null.
  const nlohmann::json* find(const std::string& key);
  // An unknown key that is set may change the model; null and false mean that whatever it names is off.
  void refuse_unknown() const;

 private:
  template <class T>
  T convert(const std::string& key, const nlohmann::json& value) const {
    bool right = false;
    if constexpr (std::is_same_v<T, bool>) {
      right = value.is_boolean();
    } else if constexpr (std::is_integral_v<T>) {
      right = value.is_number_integer();
    } else if constexpr (std::is_floating_point_v<T>) {
      right = value.is_number();
    } else {
      right = value.is_string();
    }
    if (!right) refuse(key, "= " + value.dump() + " has the wrong type");
    return value.get<T>();
  }

  nlohmann::json object_;
  std::string where_;
  std::set<std::string> seen_;
};

}  // namespace moelab::worker
