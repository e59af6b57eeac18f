#include "server/structured_log.h"

#include <spdlog/pattern_formatter.h>

#include <string_view>

#include "core/clock.h"

namespace moelab::server {
namespace {

// Of the line that this thread writes now: our sinks format in the thread that logs, so no field can meet another's message.
thread_local const LogFields* fields_of_line = nullptr;

void append(spdlog::memory_buf_t& to, std::string_view text) {
  to.append(text.data(), text.data() + text.size());
}

std::string dump(const LogFields& value) {
  return value.dump(-1, ' ', false, LogFields::error_handler_t::replace);
}

// A word stays as it is; what has blanks, quotes or control characters is written as in JSON.
std::string field_text(const LogFields& value) {
  if (!value.is_string()) return dump(value);
  const auto& text = value.get_ref<const std::string&>();
  const std::string quoted = dump(value);
  const bool plain = !text.empty() && quoted.size() == text.size() + 2 && text.find(' ') == std::string::npos;
  return plain ? text : quoted;
}

class FieldsFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& to) override {
    if (!fields_of_line) return;
    for (const auto& [key, value] : fields_of_line->items()) append(to, " " + key + "=" + field_text(value));
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<FieldsFlag>(); }
};

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& to) override {
    const spdlog::string_view_t level = spdlog::level::to_string_view(line.level);
    LogFields json = {{"time", core::to_rfc3339(std::chrono::time_point_cast<core::TimePoint::duration>(line.time))},
                      {"level", std::string(level.data(), level.size())},
                      {"message", std::string(line.payload.data(), line.payload.size())}};
    if (fields_of_line) json.update(*fields_of_line);
    append(to, dump(json) + "\n");
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<JsonFormatter>(); }
};

}  // namespace

std::unique_ptr<spdlog::formatter> make_log_formatter(LogFormat format) {
  if (format == LogFormat::json) return std::make_unique<JsonFormatter>();
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<FieldsFlag>('*').set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v%*");
  return formatter;
}

void log_with(spdlog::level::level_enum level, const std::string& message, const LogFields& fields) {
  fields_of_line = &fields;
  spdlog::log(level, spdlog::string_view_t(message));
  fields_of_line = nullptr;
}

}  // namespace moelab::server
