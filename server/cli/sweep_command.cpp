// moelab sweep: find a learning rate for each variant before the study trains.
#include <iostream>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/lr_sweep.h"
#include "core/number_text.h"
#include "server/cli/checks.h"
#include "server/cli/interrupt.h"
#include "server/cli/lr_sweep_text.h"
#include "server/cli/submission.h"
#include "server/cli/verbs.h"
#include "server/cli/watch.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::shared_ptr<Submission> submission;
  std::vector<double> rates;
  core::LrSweep sweep;
  bool apply = false;
  bool as_json = false, as_csv = false;
};

using Family = std::pair<std::string, std::string>;  // experiment that is swept, family of its runs

void print_warnings(const std::string& file, const json& plan) {
  for (const json& warning : plan.at("warnings")) {
    const auto line = warning.at("line").get<int>();
    std::cerr << file << (line > 0 ? ":" + std::to_string(line) : "") << ": warning: " << warning.at("path").get<std::string>() << ": "
              << warning.at("message").get<std::string>() << "\n";
  }
}

// The families that this call sweeps: an experiment may hold more, from other calls.
std::set<Family> families_of(const json& plan) {
  std::set<Family> families;
  for (const json& run : plan.at("runs")) {
    const auto experiment = run.at("experiment").get<std::string>(), name = run.at("name").get<std::string>();
    const std::size_t suffix = experiment.rfind(core::kLrSweepSuffix);
    if (suffix != std::string::npos) families.emplace(experiment.substr(0, suffix), name.substr(0, name.rfind(",lr=")));
  }
  return families;
}

std::vector<json> reports_of(const Client& client, const json& experiments, const std::set<Family>& swept) {
  std::vector<json> reports;
  for (const json& experiment : experiments) {
    if (!experiment.at("name").get<std::string>().ends_with(core::kLrSweepSuffix)) continue;
    json report = client.get("/api/v1/experiments/" + experiment.at("id").dump() + "/lr-sweep");
    json variants = json::array();
    for (json& variant : report.at("variants")) {
      if (swept.contains({report.at("experiment").get<std::string>(), variant.at("name").get<std::string>()}))
        variants.push_back(std::move(variant));
    }
    report["variants"] = std::move(variants);
    reports.push_back(std::move(report));
  }
  return reports;
}

std::map<Family, double> suggested(const std::vector<json>& reports) {
  std::map<Family, double> rates;
  for (const json& report : reports) {
    for (const json& variant : report.at("variants")) {
      if (variant.at("best").is_null()) continue;
      rates[{report.at("experiment").get<std::string>(), variant.at("name").get<std::string>()}] = variant.at("best").get<double>();
    }
  }
  return rates;
}

// The study itself with the suggested rates; null when there is none to apply.
json apply(const Client& client, const Submission& submission, const std::map<Family, double>& rates, std::size_t swept) {
  if (rates.empty()) return nullptr;
  json body = submission_body(submission);
  for (const auto& [family, rate] : rates) {
    body["run_overrides"][family.first + '/' + family.second] = {"train.lr=" + core::number_text(rate)};
  }
  if (rates.size() < swept) {  // variants without a rate are left out, by naming the others' runs
    json plan_request = body;
    plan_request["dry_run"] = true;
    json names = json::array();
    const json plan = client.post("/api/v1/experiments", plan_request);
    for (const json& run : plan.at("runs")) {
      const auto experiment = run.at("experiment").get<std::string>();
      if (rates.contains({experiment, run.at("family").get<std::string>()}))
        names.push_back(experiment + '/' + run.at("name").get<std::string>());
    }
    body["only"] = std::move(names);
  }
  return client.post("/api/v1/experiments", body);
}

void print_report(const std::vector<json>& reports) {
  std::cout << "\n" << lr_sweep_table(reports, false).text(Terminal::of_stdout());
  for (const json& report : reports) {
    for (const json& variant : report.at("variants")) {
      const std::string chart = lr_chart(variant);
      if (chart.empty()) continue;
      std::cout << "\n" << report.at("experiment").get<std::string>() << "/" << variant.at("name").get<std::string>() << "\n" << chart;
    }
  }
  std::cout << "\nSuggested learning rates (least loss at the last step):\n" << lr_suggestions(reports);
  const std::string yaml = lr_yaml(reports);
  if (!yaml.empty()) std::cout << "\nTo keep them, in the file:\nexperiments:\n" << yaml;
}

int sweep(const Options& options) {
  const bool for_people = !options.as_json && !options.as_csv;
  core::LrSweep asked = options.sweep;
  if (!options.rates.empty()) asked.rates = options.rates;
  core::check_lr_sweep(asked);
  json body = submission_body(*options.submission);
  body["lr_sweep"] = {{"rates", asked.rates}, {"steps", asked.steps}, {"warmup", asked.warmup}};
  Interrupt::install();
  const Client client = Client::connect();
  json plan_request = body;
  plan_request["dry_run"] = true;
  const json plan = client.post("/api/v1/experiments", plan_request);
  print_warnings(options.submission->file, plan);
  const std::set<Family> swept = families_of(plan);
  const json submitted = client.post("/api/v1/experiments", body);
  if (for_people) {
    std::cout << core::counted(static_cast<std::int64_t>(swept.size()), "variant") << " x "
              << core::counted(static_cast<std::int64_t>(asked.rates.size()), "rate") << ", " << core::counted(asked.steps, "step") << " each: "
              << core::counted(submitted.at("created").get<std::int64_t>(), "run") << " queued, " << submitted.at("reused") << " known already.\n"
              << std::flush;
  }
  Watch watch(client, submitted.at("runs").get<std::vector<json>>());
  if (!watch_until_done(watch, for_people)) {
    std::cerr << "Stopped waiting; the runs go on. The same command waits again and reports.\n";
    return core::kExitInterrupted;
  }
  const std::vector<json> reports = reports_of(client, submitted.at("experiments"), swept);
  const std::map<Family, double> rates = suggested(reports);
  if (for_people) print_report(reports);
  if (options.as_csv) std::cout << lr_sweep_table(reports, true).csv();
  const json applied = options.apply ? apply(client, *options.submission, rates, swept.size()) : json();
  if (options.as_json) std::cout << json{{"sweeps", reports}, {"applied", applied}}.dump(2) << "\n";
  if (for_people && !applied.is_null()) std::cout << "\nSubmitted with these rates:\n" << describe_submission(applied);
  if (rates.size() == swept.size()) return core::kExitDone;
  if (options.apply) {
    std::cerr << "Not applied to " << swept.size() - rates.size() << " of "
              << core::counted(static_cast<std::int64_t>(swept.size()), "variant") << ", for want of a rate:\n";
    for (const json& report : reports) {
      for (const json& variant : report.at("variants")) {
        if (!variant.at("best").is_null()) continue;
        std::cerr << "  " << report.at("experiment").get<std::string>() << "/" << variant.at("name").get<std::string>() << ": "
                  << variant.at("refusal").get<std::string>() << "\n";
      }
    }
  }
  return core::kExitRunFailed;
}

}  // namespace

void add_sweep_verb(Verbs& verbs) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = verbs.add("sweep", "Try learning rates on each variant of a matrix, briefly, and suggest one",
                             "  moelab sweep experiments.yaml --profile demo --only a_load_balance\n"
                             "  moelab sweep experiments.yaml --rates 1e-4,3e-4,1e-3 --steps 300 --apply",
                             [options] { return sweep(*options); });
  options->submission = add_submission_options(verb);
  verb.add_option("--rates", options->rates, "Learning rates, with commas between; default {1,3,5,8} x {1e-5,1e-4,1e-3}")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb.add_option("--steps", options->sweep.steps, "Optimiser steps of each run")->check(whole_number(1))->capture_default_str();
  verb.add_option("--warmup", options->sweep.warmup, "Steps of warm-up, after which the rate is constant")->check(whole_number(0))->capture_default_str();
  verb.add_flag("--apply", options->apply, "Then submit the file with each variant's suggested rate");
  auto* json_flag = verb.add_flag("--json", options->as_json, "Reports and what was submitted, as JSON");
  verb.add_flag("--csv", options->as_csv, "One line a rate, in full precision")->excludes(json_flag);
}

}  // namespace moelab::server::cli
