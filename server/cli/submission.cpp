#include "server/cli/submission.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/number_text.h"

namespace moelab::server::cli {

namespace {

namespace fs = std::filesystem;

std::string read_source(const std::string& file) {
  std::error_code ignored;
  std::ifstream in(file);
  std::ostringstream text;
  const bool is_directory = fs::is_directory(file, ignored);
  const bool is_empty = !is_directory && in && in.peek() == std::ifstream::traits_type::eof() && !in.bad();
  if (is_directory || is_empty || !in || !(text << in.rdbuf())) {
    const std::string reason = is_directory ? "it is a directory" : is_empty ? "it is empty" : std::strerror(errno);
    throw core::Error(core::ErrorKind::config, "Cannot read " + file + ": " + reason + ". Name a matrix file such as experiments.yaml.");
  }
  return text.str();
}

fs::path base_dir(const std::string& file) {
  return fs::absolute(file).lexically_normal().parent_path();
}

}  // namespace

std::shared_ptr<Submission> add_submission_options(CLI::App& verb) {
  auto submission = std::make_shared<Submission>();
  verb.add_option("FILE", submission->file, "Matrix file, e.g. experiments.yaml")->required();
  verb.add_option("-p,--profile", submission->profile, "Profile of the file that overlays its defaults");
  verb.add_option("--only", submission->only, "Only experiments or runs whose name matches this glob; may be repeated")
      ->allow_extra_args(false);
  verb.add_option("-s,--set", submission->overrides, "KEY=VALUE for every run, applied last; may be repeated")->allow_extra_args(false);
  return submission;
}

core::PlanRequest plan_request(const Submission& submission, const fs::path& cache_dir) {
  core::PlanRequest request;
  request.source_text = read_source(submission.file);
  request.source_name = submission.file;
  request.base_dir = base_dir(submission.file);
  request.profile = submission.profile;
  request.only = submission.only;
  request.overrides = submission.overrides;
  request.cache_dir = cache_dir;
  return request;
}

nlohmann::json submission_body(const Submission& submission) {
  return {{"source", read_source(submission.file)},
          {"file", submission.file},
          {"base_dir", base_dir(submission.file).string()},
          {"profile", submission.profile},
          {"only", submission.only},
          {"overrides", submission.overrides},
          {"force", submission.force}};
}

std::string describe_submission(const nlohmann::json& result) {
  std::ostringstream text;
  for (const nlohmann::json& experiment : result.at("experiments")) {
    text << experiment.at("name").get<std::string>() << ": " << core::counted(experiment.at("total").get<std::int64_t>(), "run") << " (";
    std::string separator;
    for (const auto& [state, count] : experiment.at("counts").items()) {
      if (count == 0) continue;
      text << separator << count << " " << state;
      separator = ", ";
    }
    text << ")\n";
  }
  text << core::counted(result.at("created").get<std::int64_t>(), "run") << " queued, " << result.at("reused") << " known already.\n";
  return text.str();
}

}  // namespace moelab::server::cli
