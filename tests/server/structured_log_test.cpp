// Log lines: what people read, and one JSON object a line whatever the message holds.
#include "server/structured_log.h"

#include <doctest/doctest.h>

#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

#include "core/clock.h"

using namespace moelab;
using nlohmann::json;

namespace {

// Catches the process's log until it goes out of scope.
class CaughtLog {
 public:
  explicit CaughtLog(server::LogFormat format) : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>("caught", std::make_shared<spdlog::sinks::ostream_sink_mt>(stream_));
    logger->set_formatter(server::make_log_formatter(format));
    spdlog::set_default_logger(logger);
  }
  ~CaughtLog() { spdlog::set_default_logger(before_); }
  std::vector<std::string> lines() const {
    std::vector<std::string> list;
    std::istringstream in(stream_.str());
    for (std::string line; std::getline(in, line);) list.push_back(line);
    return list;
  }

 private:
  std::ostringstream stream_;
  std::shared_ptr<spdlog::logger> before_;
};

}  // namespace

TEST_CASE("a JSON log line holds time, level, message and fields, whatever the message is made of") {
  const CaughtLog log(server::LogFormat::json);
  spdlog::warn("plain {}", 7);
  server::log_with(spdlog::level::info, "run 12: queued -> starting {}", {{"run", 12}, {"state", "starting"}, {"device", "cpu0"}});
  spdlog::error("\"quoted\" \\ two\nlines \t \x01 and bytes \xff\xfe");
  const auto lines = log.lines();
  REQUIRE(lines.size() == 3);
  const json plain = json::parse(lines[0]);
  CHECK(plain.size() == 3);
  CHECK(plain.at("level") == "warning");
  CHECK(plain.at("message") == "plain 7");
  CHECK(core::to_rfc3339(core::from_rfc3339(plain.at("time").get<std::string>())) == plain.at("time"));
  const json fields = json::parse(lines[1]);
  CHECK(fields.at("message") == "run 12: queued -> starting {}");
  CHECK(fields.at("run") == 12);
  CHECK(fields.at("state") == "starting");
  CHECK(fields.at("device") == "cpu0");
  CHECK(lines[1].find("\"time\"") < lines[1].find("\"message\""));
  CHECK(lines[1].find("\"message\"") < lines[1].find("\"run\""));
  const json odd = json::parse(lines[2]);
  CHECK(odd.at("message") == "\"quoted\" \\ two\nlines \t \x01 and bytes \xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK_FALSE(odd.contains("run"));  // fields belong to their line
}

TEST_CASE("a text log line shows its fields behind the message") {
  const CaughtLog log(server::LogFormat::text);
  server::log_with(spdlog::level::info, "run ended", {{"run", 3}, {"state", "failed"}, {"reason", "the \"loss\" is\nNaN"}, {"device", ""}});
  spdlog::info("next");
  const auto lines = log.lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].ends_with(R"( info run ended run=3 state=failed reason="the \"loss\" is\nNaN" device="")"));
  CHECK(lines[1].ends_with(" info next"));
}
