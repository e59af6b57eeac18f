#include "server/outcome.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "core/error.h"

namespace moelab::server {
namespace {

using core::RunState;

bool speaks_of_memory(const db::FinalWord& word) {
  std::string text = word.reason + " " + word.message;
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<const char*, 4> kSigns{"out of memory", "out_of_memory", "bad_alloc", "can't allocate memory"};
  return std::any_of(kSigns.begin(), kSigns.end(), [&](const char* sign) { return text.find(sign) != std::string::npos; });
}

std::string describe(const Exit& exit) {
  if (exit.signal) return "the worker was killed by signal " + std::to_string(*exit.signal);
  if (exit.code) return "the worker left with exit code " + std::to_string(*exit.code) + " and no final word";
  return "the worker was gone when the daemon came back, without a final word";
}

std::string join(const std::string& reason, const std::string& message) {
  if (reason.empty() || message.empty()) return reason + message;
  return reason + ": " + message;
}

}  // namespace

std::chrono::seconds backoff(int restart) {
  return std::chrono::seconds(std::min(60, 1 << std::clamp(restart - 1, 0, 6)));
}

db::AttemptEnd judge(const db::RunRow& run, const Exit& exit, const std::optional<db::FinalWord>& word, core::TimePoint now) {
  db::AttemptEnd end;
  end.exit_code = exit.code;
  end.signal = exit.signal;
  const auto to = [&](RunState state, const std::string& reason) {
    end.to = state;
    end.reason = reason;
    return end;
  };
  if (word && word->status == "completed") return to(RunState::completed, "");
  if (word && word->status == "pruned") return to(RunState::pruned, join(word->reason, word->message));
  if (word && word->status == "failed") {
    return to(speaks_of_memory(*word) ? RunState::out_of_memory : RunState::failed, join(word->reason, word->message));
  }
  if (run.stop_intent == db::StopIntent::cancel) return to(RunState::cancelled, "cancelled");
  if (run.stop_intent == db::StopIntent::timeout) {
    return to(RunState::timed_out, "ran longer than resources.timeout = " + std::to_string(run.resources.timeout_s) + " s");
  }
  if (run.stop_intent == db::StopIntent::shutdown) return to(RunState::queued, "the daemon was stopped");
  if (word && word->status == "preempted") return to(RunState::queued, "somebody stopped the worker");
  if (!exit.code && !exit.signal && run.state == RunState::starting)
    return to(RunState::queued, "the daemon died while it started the worker");
  if (exit.oom_killed) return to(RunState::out_of_memory, "killed by the kernel: the machine ran out of memory");
  if (exit.code == core::kExitUsage || exit.code == core::kExitStorage) return to(RunState::failed, describe(exit) + "; see its log");
  if (run.restarts < run.resources.max_restarts) {
    end.counts_as_restart = true;
    end.not_before = now + backoff(run.restarts + 1);
    return to(RunState::queued, describe(exit));
  }
  const std::string restarts = run.resources.max_restarts > 0 ? "; restarts are used up" : "";
  return to(exit.code || exit.signal ? RunState::failed : RunState::lost, describe(exit) + restarts);
}

}  // namespace moelab::server
