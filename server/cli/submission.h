// Owns the options that plan, submit and run share, and reading the file they name. Used by those three commands.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/plan.h"

namespace moelab::server::cli {

struct Submission {
  std::string file;
  std::string profile;
  std::vector<std::string> only;
  std::vector<std::string> overrides;
  bool force = false;
};

// FILE, --profile, --only, -s. Submit and run add --force themselves.
std::shared_ptr<Submission> add_submission_options(CLI::App& verb);

// Both throw Error(config) when the file cannot be read.
core::PlanRequest plan_request(const Submission& submission, const std::filesystem::path& cache_dir);
nlohmann::json submission_body(const Submission& submission);

// "a_load_balance   4 runs: 3 queued, 1 completed before", one line an experiment, and what to do next.
std::string describe_submission(const nlohmann::json& result);

}  // namespace moelab::server::cli
