// moelab submit: hand a matrix to the daemon.
#include <iostream>

#include "core/error.h"
#include "server/cli/client.h"
#include "server/cli/submission.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

int submit(const Submission& submission, bool as_json) {
  const nlohmann::json body = submission_body(submission);
  const nlohmann::json result = Client::connect().post("/api/v1/experiments", body);
  if (as_json) {
    std::cout << result.dump(2) << "\n";
  } else {
    std::cout << describe_submission(result);
  }
  return core::kExitDone;
}

}  // namespace

void add_submit_verb(Verbs& verbs) {
  auto submission = std::make_shared<std::shared_ptr<Submission>>();
  auto as_json = std::make_shared<bool>(false);
  CLI::App& verb = verbs.add("submit", "Queue the runs of a matrix that the daemon does not know yet",
                             "  moelab submit experiments.yaml --profile demo\n"
                             "  moelab submit experiments.yaml --only a_load_balance -s train.max_steps=100",
                             [submission, as_json] { return submit(**submission, *as_json); });
  *submission = add_submission_options(verb);
  verb.add_flag("--force", (*submission)->force, "Train runs that have ended again, from step 0");
  verb.add_flag("--json", *as_json, "Print what was created and reused as JSON");
}

}  // namespace moelab::server::cli
