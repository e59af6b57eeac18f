// Every errors/*.yaml is a wrong file; the .txt beside it is the whole message a person gets. Leading comments may ask for a
// profile, overrides or a selection: "# profile: demo", "# override: train.lr=1", "# only: a*".
// MOELAB_UPDATE_GOLDEN=1 writes the messages anew, to be read before they are committed.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iterator>
#include <sstream>

#include "tests/core/plan_fixture.h"

using namespace moelab::core;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

PlanRequest request_of(const fs::path& file) {
  PlanRequest request;
  request.source_text = text_of(file);
  request.source_name = file.filename();
  request.base_dir = file.parent_path();
  std::istringstream lines(request.source_text);
  for (std::string line; std::getline(lines, line);) {
    const auto argument = [&](const std::string& mark) { return line.starts_with(mark) ? line.substr(mark.size()) : ""; };
    if (const std::string profile = argument("# profile: "); !profile.empty()) request.profile = profile;
    if (const std::string text = argument("# override: "); !text.empty()) request.overrides.push_back(text);
    if (const std::string glob = argument("# only: "); !glob.empty()) request.only.push_back(glob);
  }
  return request;
}

// "[kind]" and the message; the directory of the tests is written as DIR.
std::string message_for(const fs::path& file) {
  std::string message = "no error\n";
  try {
    make_plan(request_of(file));
  } catch (const Error& error) {
    message = '[' + to_string(error.kind()) + "]\n" + error.what() + '\n';
  }
  const std::string directory = file.parent_path().string();
  for (std::size_t at = message.find(directory); at != std::string::npos; at = message.find(directory))
    message.replace(at, directory.size(), "DIR");
  return message;
}

}  // namespace

TEST_CASE("every wrong file gets the message written down for it") {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(MOELAB_SOURCE_DIR) / "tests/core/errors")) {
    if (entry.path().extension() != ".yaml") continue;
    ++count;
    const fs::path golden = fs::path(entry.path()).replace_extension(".txt");
    const std::string message = message_for(entry.path());
    if (std::getenv("MOELAB_UPDATE_GOLDEN")) std::ofstream(golden, std::ios::binary) << message;
    INFO(entry.path().filename().string());
    CHECK(message == text_of(golden));
    CHECK(message != "no error\n");
  }
  CHECK(count >= 30);
}
