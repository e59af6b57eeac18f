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
  constexpr std::array<const char*, 5> kSigns{"out of memory", "out_of_memory", "bad_alloc", "can't allocate memory", "alloc_failed"};
  return std::any_of(kSigns.begin(), kSigns.end(), [&](const char* sign) { return text.find(sign) != std::string::npos; });
}

std::string describe(const Exit& exit) {
  if (!exit.note.empty()) return exit.note;
  if (exit.signal) return "the worker was killed by signal " + std::to_string(*exit.signal);
  if (exit.code) return "the worker left with exit code " + std::to_string(*exit.code) + " and no final word";
  return "the worker was gone when the daemon came back, without a final word";
}

std::string join(const std::string& reason, const std::string& message) {
  if (reason.empty() || message.empty()) return reason + message;
  return reason + ": " + message;
}

// What a stop that we asked for makes of a run; nothing for one that ended for a reason of its own.
struct StopOutcome {
  RunState to;
  const char* reason;
};
StopOutcome outcome_of(db::StopIntent intent) {
  switch (intent) {
    case db::StopIntent::shutdown:
      return {RunState::queued, "the daemon was stopped"};
    case db::StopIntent::drain:
      return {RunState::queued, "the server was drained"};
    case db::StopIntent::hang:
      return {RunState::queued, "the worker made no progress"};
    case db::StopIntent::prune:
      return {RunState::pruned, "pruned by its experiment's rule"};
    case db::StopIntent::timeout:
      return {RunState::timed_out, ""};
    case db::StopIntent::misplaced:
      return {RunState::failed, "the worker computed on a device that was not its own"};
    case db::StopIntent::pause:
      return {RunState::paused, "paused"};
    case db::StopIntent::cancel:
      return {RunState::cancelled, "cancelled"};
    case db::StopIntent::kill:
      return {RunState::cancelled, "killed"};
  }
  return {RunState::failed, ""};
}

}  // namespace

bool speaks_of_cuda(const db::FinalWord& word) {
  return word.message.find("CUDA error") != std::string::npos || word.reason.find("CUDA error") != std::string::npos;
}

std::chrono::seconds backoff(int restart) {
  return std::chrono::seconds(std::min(60, 1 << std::clamp(restart - 1, 0, 6)));
}

db::AttemptEnd judge(const db::RunRow& run, const Exit& exit, const std::optional<db::FinalWord>& word, const Allowed& allowed,
                     core::TimePoint now) {
  db::AttemptEnd end;
  end.exit_code = exit.code;
  end.signal = exit.signal;
  const auto to = [&](RunState state, const std::string& reason) {
    end.to = state;
    end.reason = reason;
    return end;
  };
  const auto restart = [&](const std::string& reason, RunState otherwise) {
    if (run.restarts < run.resources.max_restarts) {
      end.counts_as_restart = true;
      end.not_before = now + backoff(run.restarts + 1);
      return to(RunState::queued, reason);
    }
    return to(otherwise, reason + (run.resources.max_restarts > 0 ? "; restarts are used up" : ""));
  };
  // What is taken away again and again before its first step would go round for ever.
  const auto interrupted = [&](const std::string& reason) {
    return run.pace_step ? to(RunState::queued, reason) : restart(reason + ", before its first step", RunState::failed);
  };
  const auto out_of_memory = [&](const std::string& reason) {
    if (!allowed.micro_batch_divisor) return to(RunState::out_of_memory, reason);
    end.micro_batch_divisor = allowed.micro_batch_divisor;
    return to(RunState::queued, reason + "; goes on with micro-batches " + std::to_string(*allowed.micro_batch_divisor) + " times smaller");
  };
  if (word && word->status == "completed") return to(RunState::completed, "");
  if (word && word->status == "pruned") return to(RunState::pruned, join(word->reason, word->message));
  const bool stopped_by_person = run.stop_intent && *run.stop_intent >= db::StopIntent::pause;
  if (word && word->status == "failed" && !speaks_of_memory(*word)) {
    const std::string reason = join(word->reason, word->message);
    // It may be the device, and the next one is sound.
    return speaks_of_cuda(*word) && !run.stop_intent ? restart(reason, RunState::failed) : to(RunState::failed, reason);
  }
  if (word && word->status == "failed" && !stopped_by_person) return out_of_memory(join(word->reason, word->message));
  if (run.stop_intent == db::StopIntent::timeout) {
    return to(RunState::timed_out, "ran longer than resources.timeout = " + std::to_string(run.resources.timeout_s) + " s");
  }
  if (run.stop_intent) {
    const StopOutcome stopped = outcome_of(*run.stop_intent);
    const std::string reason = run.stop_reason.empty() ? stopped.reason : run.stop_reason;
    return run.stop_intent == db::StopIntent::hang ? restart(reason, RunState::failed) : to(stopped.to, reason);
  }
  if (exit.not_its_fault) return interrupted(describe(exit));
  if (word && word->status == "preempted") return interrupted(exit.note.empty() ? "somebody stopped the worker" : exit.note);
  if (exit.rebooted) return to(RunState::queued, "the machine was started again");
  if (!exit.code && !exit.signal && exit.note.empty() && run.state == RunState::starting)
    return to(RunState::queued, "the daemon died while it started the worker");
  if (exit.oom_killed) return out_of_memory(exit.note.empty() ? "killed by the kernel: the machine ran out of memory" : exit.note);
  if (exit.code == core::kExitUsage || exit.code == core::kExitStorage) return to(RunState::failed, describe(exit) + "; see its log");
  const bool known = exit.code || exit.signal || run.state == RunState::starting;
  return restart(describe(exit), known ? RunState::failed : RunState::lost);
}

}  // namespace moelab::server
