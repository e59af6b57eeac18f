#include "core/field_io.h"

#include <algorithm>
#include <cctype>
#include <type_traits>

#include "core/nearest_name.h"
#include "core/number_text.h"

namespace moelab::core {
namespace {

template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

using Message = std::optional<std::string>;

// Reading. Each overload returns the problem, or nullopt.

std::string shown(double value) {
  return number_text(value);
}

Message check_range(double value, const Range& range) {
  const bool too_small = range.min_open ? value <= range.min : value < range.min;
  if (!too_small && value <= range.max) return std::nullopt;
  if (range.min == range.max) return "only " + shown(range.min) + " is supported, not " + shown(value);
  const std::string low = (range.min_open ? "greater than " : "at least ") + shown(range.min);
  const bool bounded = range.max < 1e15;
  if (!bounded && !too_small) return "must be at most " + shown(range.max) + ", not " + shown(value);
  return "must be " + low + (bounded ? " and at most " + shown(range.max) : "") + ", not " + shown(value);
}

Message read(const Node& node, const Range& range, std::int64_t& out) {
  const std::optional<std::int64_t> value = node.is_scalar() && !node.quoted ? parse_integer(node.text) : std::nullopt;
  if (!value) return "must be a whole number, not " + describe(node);
  if (Message problem = check_range(static_cast<double>(*value), range)) return problem;
  out = *value;
  return std::nullopt;
}

Message read(const Node& node, const Range& range, double& out) {
  const std::optional<double> value = node.is_scalar() && !node.quoted ? parse_number(node.text) : std::nullopt;
  if (!value) return "must be a number, not " + describe(node);
  if (Message problem = check_range(*value, range)) return problem;
  out = *value;
  return std::nullopt;
}

Message read(const Node& node, const Range& range, bool& out) {
  std::string text = node.text;
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!node.is_scalar() || node.quoted || (text != "true" && text != "false")) return "must be true or false, not " + describe(node);
  if (text == "true" && range.max < 1) return "only false is supported";
  out = text == "true";
  return std::nullopt;
}

Message read(const Node& node, const Range&, std::string& out) {
  if (node.is_null()) {
    out.clear();
    return std::nullopt;
  }
  if (!node.is_scalar()) return "must be one text, not " + describe(node);
  out = node.text;
  return std::nullopt;
}

Message read(const Node& node, const Range& range, Seconds& out) {
  const std::string hint = "must be a time such as 90, 90s, 15m, 6h or 2d, not " + describe(node);
  if (!node.is_scalar() || node.text.empty()) return hint;
  std::string text = node.text;
  std::int64_t unit = 1;
  switch (text.back()) {
    case 's':
      unit = 1;
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 86400;
      break;
    default:
      unit = 0;
  }
  if (unit > 0) text.pop_back();
  const std::optional<double> value = parse_number(text);
  if (!value) return hint;
  const double seconds = *value * static_cast<double>(std::max<std::int64_t>(unit, 1));
  if (Message problem = check_range(seconds, range)) return problem;
  if (seconds > kMaxInt) return hint;
  out.count = static_cast<std::int64_t>(seconds);
  return std::nullopt;
}

template <class E>
requires std::is_enum_v<E> Message read(const Node& node, const Range&, E& out) {
  std::vector<std::string> names;
  std::string list;
  for (const auto& [value, name] : EnumNames<E>::values) {
    if (node.is_scalar() && node.text == name) {
      out = value;
      return std::nullopt;
    }
    names.emplace_back(name);
    list += (list.empty() ? "" : ", ") + std::string(name);
  }
  const std::string remedy = names.size() == 1 ? "only " + list + " is supported" : "must be one of " + list;
  return remedy + ", not " + describe(node) + (node.is_scalar() ? did_you_mean(node.text, names) : "");
}

template <class T>
Message read(const Node& node, const Range& range, std::vector<T>& out) {
  std::vector<T> values;
  if (node.is_map()) return "must be a list, not a map";
  if (node.is_scalar()) {
    if (Message problem = read(node, range, values.emplace_back())) return problem;
  }
  for (const Node& item : node.items) {
    if (item.is_null()) return "has an empty item";
    if (Message problem = read(item, range, values.emplace_back())) return problem;
  }
  out = std::move(values);
  return std::nullopt;
}

bool is_domain_name(const std::string& name) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.front() >= 'a' && name.front() <= 'z' && std::all_of(name.begin(), name.end(), allowed);
}

// `range` bounds the number of domains; none at all is the absence of domains.
Message read(const Node& node, const Range& range, DomainPaths& out) {
  DomainPaths domains;
  if (!node.is_null() && !node.is_map()) return "must be a map of domains, such as {code: PATHS, prose: PATHS}, not " + describe(node);
  for (const NodeEntry& entry : node.entries) {
    if (!is_domain_name(entry.key)) {
      return "'" + entry.key + "' is no name for a domain; use lower-case letters, digits and _, a letter first, such as code";
    }
    std::vector<std::string>& paths = domains[entry.key];
    if (Message problem = read(entry.value, range, paths)) return "domain " + entry.key + ' ' + *problem;
    if (paths.empty()) return "domain " + entry.key + " names no files; give it a path, or leave it out";
  }
  const auto count = static_cast<double>(domains.size());
  if (!domains.empty() && (count < range.min || count > range.max)) {
    return "needs " + shown(range.min) + " to " + shown(range.max) + " domains, not " + shown(count) +
           (domains.size() == 1 ? "; one corpus alone is data.path" : "");
  }
  out = std::move(domains);
  return std::nullopt;
}

template <class T>
Message read(const Node& node, const Range& range, std::optional<T>& out) {
  if (node.is_null()) {
    out.reset();
    return std::nullopt;
  }
  T value{};
  if (Message problem = read(node, range, value)) return problem;
  out = std::move(value);
  return std::nullopt;
}

// Writing.

nlohmann::json write(std::int64_t value) {
  return value;
}
nlohmann::json write(double value) {
  return value;
}
nlohmann::json write(bool value) {
  return value;
}
nlohmann::json write(const std::string& value) {
  return value;
}
nlohmann::json write(const Seconds& value) {
  return value.count;
}
template <class T>
nlohmann::json write(const std::vector<T>& value) {
  return value;
}
nlohmann::json write(const DomainPaths& value) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [name, paths] : value) json[name] = paths;
  return json;
}
template <class T>
nlohmann::json write(const std::optional<T>& value) {
  return value ? write(*value) : nlohmann::json();
}
template <class E>
requires std::is_enum_v<E> nlohmann::json write(E value) {
  for (const auto& [candidate, name] : EnumNames<E>::values) {
    if (candidate == value) return std::string(name);
  }
  return nullptr;
}

// Describing.

const std::pair<const char*, const char*> kRoutingDocs[] = {
#define MOELAB_ROUTING(name, doc) {#name, doc},
#include "core/routing_strategies.def"
#undef MOELAB_ROUTING
};

template <class T>
constexpr const char* type_name() {
  if constexpr (is_optional<T>::value) return type_name<typename T::value_type>();
  if constexpr (std::is_same_v<T, std::int64_t>) return "integer";
  if constexpr (std::is_same_v<T, double>) return "number";
  if constexpr (std::is_same_v<T, bool>) return "boolean";
  if constexpr (std::is_same_v<T, std::string>) return "string";
  if constexpr (std::is_same_v<T, Seconds>) return "duration";
  if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) return "list of integers";
  if constexpr (std::is_same_v<T, std::vector<std::string>>) return "list of strings";
  if constexpr (std::is_same_v<T, DomainPaths>) return "map of lists of strings";
  if constexpr (std::is_enum_v<T>) return "choice";
}

template <class T>
constexpr bool holds_several() {
  if constexpr (is_optional<T>::value) {
    return holds_several<typename T::value_type>();
  } else {
    return std::is_same_v<T, std::vector<std::int64_t>> || std::is_same_v<T, std::vector<std::string>> || std::is_same_v<T, DomainPaths>;
  }
}

// Paths of the fields for which keep(FieldInfo, field) holds.
template <class Keep>
std::vector<std::string> collect_paths(Keep&& keep) {
  std::vector<std::string> paths;
  RunConfig config;
  for_each_field(config, [&](const FieldInfo& info, auto& field) {
    if (keep(info, field)) paths.emplace_back(info.path);
  });
  return paths;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

const std::vector<std::string>& field_paths() {
  static const std::vector<std::string> paths = collect_paths([](const FieldInfo&, auto&) { return true; });
  return paths;
}

const std::vector<std::string>& field_groups() {
  static const std::vector<std::string> groups = [] {
    std::vector<std::string> names;
    for (const std::string& path : field_paths()) {
      const std::size_t dot = path.find('.');
      if (dot != std::string::npos && !contains(names, path.substr(0, dot))) names.push_back(path.substr(0, dot));
    }
    return names;
  }();
  return groups;
}

bool is_field(const std::string& path) {
  return contains(field_paths(), path);
}

bool holds_several_values(const std::string& path) {
  static const std::vector<std::string> paths = collect_paths([]<class T>(const FieldInfo&, T&) { return holds_several<T>(); });
  return contains(paths, path);
}

bool is_source_field(const std::string& path) {
  static const std::vector<std::string> paths =
      collect_paths([](const FieldInfo& info, auto&) { return info.scope == FieldScope::source; });
  return contains(paths, path);
}

bool is_integer_field(const std::string& path) {
  static const std::vector<std::string> paths = collect_paths(
      []<class T>(const FieldInfo&, T&) { return std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::optional<std::int64_t>>; });
  return contains(paths, path);
}

std::optional<std::string> read_field(RunConfig& config, const std::string& path, const Node& value) {
  Message problem;
  for_each_field(config, [&](const FieldInfo& info, auto& field) {
    if (info.path == path) problem = read(value, info.range, field);
  });
  return problem;
}

nlohmann::json field_json(const RunConfig& config, const std::string& path) {
  nlohmann::json json;
  for_each_field(config, [&](const FieldInfo& info, const auto& field) {
    if (info.path == path) json = write(field);
  });
  return json;
}

std::vector<nlohmann::json> field_values(const RunConfig& config) {
  std::vector<nlohmann::json> values;
  for_each_field(config, [&](const FieldInfo&, const auto& field) { values.push_back(write(field)); });
  return values;
}

const std::vector<FieldScope>& field_scopes() {
  static const std::vector<FieldScope> scopes = [] {
    std::vector<FieldScope> all;
    RunConfig config;
    for_each_field(config, [&](const FieldInfo& info, auto&) { all.push_back(info.scope); });
    return all;
  }();
  return scopes;
}

nlohmann::json schema_json() {
  nlohmann::json fields = nlohmann::json::array();
  RunConfig defaults;
  for_each_field(defaults, [&]<class T>(const FieldInfo& info, T& field) {
    nlohmann::json entry = {
        {"path", info.path}, {"type", type_name<T>()}, {"default", write(field)}, {"unit", info.unit}, {"doc", info.doc}};
    entry["in_key"] = info.scope != FieldScope::operation;
    entry["nullable"] = is_optional<T>::value;
    if (info.range.min > -1e300) entry["min"] = info.range.min;
    if (info.range.min_open) entry["min_open"] = true;
    if (info.range.max < 1e15) entry["max"] = info.range.max;
    if constexpr (std::is_enum_v<T>) {
      for (const auto& [value, name] : EnumNames<T>::values) entry["choices"].push_back(name);
    }
    if constexpr (std::is_same_v<T, Routing>) {
      for (const auto& [name, doc] : kRoutingDocs) entry["choice_docs"][name] = doc;
    }
    fields.push_back(std::move(entry));
  });
  return fields;
}

}  // namespace moelab::core
