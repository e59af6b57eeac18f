// Owns the list of verbs: each has a name, one line of help, examples and an action. cli.cpp parses; one file a verb group adds.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

namespace moelab::server::cli {

class Verbs {
 public:
  explicit Verbs(CLI::App& app) : app_(app) {}

  // The caller adds options to the returned App. `action` returns the exit code and may throw core::Error.
  CLI::App& add(const std::string& name, const std::string& summary, const std::string& examples, std::function<int()> action);
  // A verb with sub-verbs, such as `data prepare`.
  CLI::App& add_group(const std::string& name, const std::string& summary);
  CLI::App& add_to(CLI::App& group, const std::string& name, const std::string& summary, const std::string& examples,
                   std::function<int()> action);

  // Of the verb that was called; 0 before.
  int code() const { return code_; }

 private:
  CLI::App& app_;
  int code_ = 0;
};

void add_serve_verb(Verbs& verbs);
void add_plan_verb(Verbs& verbs);
void add_submit_verb(Verbs& verbs);
void add_run_verb(Verbs& verbs);
void add_sweep_verb(Verbs& verbs);
void add_ls_verb(Verbs& verbs);
void add_show_verb(Verbs& verbs);
void add_results_verb(Verbs& verbs);
void add_stats_verb(Verbs& verbs);
void add_compare_verb(Verbs& verbs);
void add_logs_verb(Verbs& verbs);
void add_wait_verb(Verbs& verbs);
void add_control_verbs(Verbs& verbs);  // pause, resume, cancel, kill, retry, rerun, archive, unarchive, priority, force
void add_retention_verbs(Verbs& verbs);  // delete, gc
void add_queue_verbs(Verbs& verbs);    // queue, hold, drain, release
void add_device_verbs(Verbs& verbs);   // gpus, health
void add_webhook_verbs(Verbs& verbs);  // webhook add, ls, test, ...
void add_worker_verbs(Verbs& verbs);   // generate, data prepare
void add_model_verbs(Verbs& verbs);    // export, import, score
void add_schema_verb(Verbs& verbs);
void add_db_verb(Verbs& verbs);

}  // namespace moelab::server::cli
