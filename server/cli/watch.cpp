#include "server/cli/watch.h"

#include <algorithm>
#include <iostream>
#include <set>

#include "core/error.h"
#include "core/number_text.h"
#include "core/run_state.h"
#include "server/cli/format.h"
#include "server/cli/interrupt.h"
#include "server/cli/lookup.h"
#include "server/cli/progress.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kPoll{300};

bool ended(const json& run) {
  return core::is_terminal(core::run_state_from(text_or(run, "state")));
}

}  // namespace

Watch::Watch(const Client& client, const std::vector<json>& runs) : client_(client) {
  for (const json& run : runs) {
    const std::int64_t id = run.at("id").get<std::int64_t>();
    if (runs_.emplace(id, run).second) order_.push_back(id);
  }
}

void Watch::refresh() {
  std::set<std::int64_t> listed;
  for (json& run : list_runs(client_, "state=queued,starting,running,stopping,paused")) {
    const std::int64_t id = run.at("id").get<std::int64_t>();
    const auto mine = runs_.find(id);
    if (mine == runs_.end()) continue;
    run["name"] = mine->second.at("name");  // as it was called when the watch began: it may have several names
    mine->second = std::move(run);
    listed.insert(id);
  }
  for (auto& [id, run] : runs_) {
    if (listed.contains(id) || ended(run)) continue;
    json last = client_.get(run_path(run));
    last["name"] = run.at("name");
    run = std::move(last);
  }
}

bool Watch::done() const {
  return std::all_of(runs_.begin(), runs_.end(), [](const auto& entry) { return ended(entry.second); });
}

std::vector<json> Watch::runs() const {
  std::vector<json> ordered;
  for (const std::int64_t id : order_) ordered.push_back(runs_.at(id));
  return ordered;
}

std::string Watch::paused() const {
  std::string ids;
  std::int64_t count = 0;
  for (const auto& [id, run] : runs_) {
    if (text_or(run, "state") != "paused") continue;
    ids += " " + std::to_string(id);
    ++count;
  }
  if (count == 0) return "";
  return core::counted(count, "run is", "runs are") + " paused; `moelab resume" + ids + "` lets " + (count == 1 ? "it" : "them") + " go on.";
}

int Watch::exit_code() const {
  // A run that its own rule has ended is a result too.
  const bool all = std::all_of(runs_.begin(), runs_.end(), [](const auto& entry) {
    const std::string state = text_or(entry.second, "state");
    return state == "completed" || state == "pruned";
  });
  return all ? core::kExitDone : core::kExitRunFailed;
}

bool watch_until_done(Watch& watch, bool show_progress) {
  Progress progress(Terminal::of_stdout(), std::cout);
  for (bool said = false;;) {
    watch.refresh();
    const std::string paused = said ? "" : watch.paused();
    if (!paused.empty()) {
      said = true;
      if (show_progress) {
        progress.say(paused);
      } else {
        std::cerr << paused << std::endl;
      }
    }
    if (show_progress) progress.show(watch.runs());
    if (watch.done()) return true;
    if (Interrupt::wait(kPoll)) return false;
  }
}

}  // namespace moelab::server::cli
