#include "server/devices/device_health.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/error.h"
#include "server/devices/device_words.h"
#include "server/outcome.h"

namespace moelab::server {
namespace {

// "runs 7 and 9", "runs 7, 8 and 9"
std::string runs_words(const std::vector<db::RunId>& runs) {
  std::string text = "runs ";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i > 0) text += i + 1 == runs.size() ? " and " : ", ";
    text += std::to_string(runs[i]);
  }
  return text;
}

}  // namespace

DeviceVerdict verdict_on_device(const db::RunRow& run, const Exit& exit, const std::optional<db::FinalWord>& word, const db::AttemptEnd& end) {
  if (end.to == core::RunState::completed || end.to == core::RunState::pruned) return DeviceVerdict::good;
  if (end.to == core::RunState::lost || end.counts_as_restart) return DeviceVerdict::bad;
  if (end.to != core::RunState::failed) return DeviceVerdict::neutral;
  if (word && word->status == "failed") return speaks_of_cuda(*word) ? DeviceVerdict::bad : DeviceVerdict::neutral;
  if (run.stop_intent && *run.stop_intent != db::StopIntent::hang) return DeviceVerdict::neutral;
  const bool wrong_input = exit.code == core::kExitUsage || exit.code == core::kExitStorage;
  return wrong_input ? DeviceVerdict::neutral : DeviceVerdict::bad;
}

db::DeviceRow after_success(db::DeviceRow row) {
  row.failures = 0;
  row.failed_runs.clear();
  row.quarantines = 0;
  return row;
}

db::DeviceRow after_failure(db::DeviceRow row, db::RunId run, core::TimePoint now) {
  ++row.failures;
  if (std::find(row.failed_runs.begin(), row.failed_runs.end(), run) == row.failed_runs.end()) row.failed_runs.push_back(run);
  if (row.failures < kFailuresInARow || row.failed_runs.size() < kDistinctRuns) return row;
  const std::string reason = "the last " + std::to_string(row.failures) + " attempts on it failed (" + runs_words(row.failed_runs) + ")";
  return after_quarantine(std::move(row), reason, now);
}

db::DeviceRow after_quarantine(db::DeviceRow row, const std::string& reason, core::TimePoint now) {
  constexpr int kMostDoublings = 10;
  row.quarantined_until = now + std::min(kFirstQuarantine * (1 << std::min(row.quarantines, kMostDoublings)), kLongestQuarantine);
  row.quarantine_reason = reason;
  ++row.quarantines;
  row.failures = 0;
  row.failed_runs.clear();
  return row;
}

std::map<std::string, db::DeviceRow> DeviceHealth::rows() const {
  return database_.read([](db::Connection& c) { return db::DeviceStore(c).all(); });
}

template <class Change>
void DeviceHealth::change(const Device& device, Change&& change) {
  database_.write([&](db::Connection& c) {
    db::DeviceStore devices(c);
    const db::DeviceRow before = devices.get(key(device));
    const db::DeviceRow after = change(before);
    if (after == before) return;
    devices.put(key(device), after);
    if (after.quarantines <= before.quarantines) return;
    const std::string until = clock_words(*after.quarantined_until, clock_.now());
    spdlog::warn("{} is quarantined until {}: {}", device.id, until, after.quarantine_reason);
  });
}

void DeviceHealth::attempt_ended(const Device& device, db::RunId run, DeviceVerdict verdict) {
  if (device.kind != DeviceKind::gpu || verdict == DeviceVerdict::neutral) return;
  change(device, [&](const db::DeviceRow& row) {
    return verdict == DeviceVerdict::good ? after_success(row) : after_failure(row, run, clock_.now());
  });
}

void DeviceHealth::quarantine(const Device& device, const std::string& reason) {
  change(device, [&](const db::DeviceRow& row) { return after_quarantine(row, reason, clock_.now()); });
}

void DeviceHealth::enable(const Device& device) {
  change(device, [](const db::DeviceRow&) { return db::DeviceRow{}; });
}

void DeviceHealth::disable(const Device& device, const std::string& reason) {
  change(device, [&](db::DeviceRow row) {
    row.disabled = true;
    row.disabled_reason = reason;
    return row;
  });
}

}  // namespace moelab::server
