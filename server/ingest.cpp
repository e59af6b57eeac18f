#include "server/ingest.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>

#include "core/error.h"
#include "db/experiment_store.h"
#include "db/run_store.h"
#include "server/structured_log.h"

namespace moelab::server {
namespace {

// Bounds one transaction, so that other writers get their turn.
constexpr std::size_t kBatchBytes = 4 << 20;

// Whole lines from `offset` on, at most about kBatchBytes unless a single line is longer. Ends after a newline.
std::string read_lines(const std::filesystem::path& file, std::int64_t offset) {
  std::ifstream in(file, std::ios::binary);
  in.seekg(offset);
  std::string text;
  std::size_t whole = std::string::npos;
  while (in && whole == std::string::npos) {
    const std::size_t before = text.size();
    text.resize(before + kBatchBytes);
    in.read(text.data() + before, static_cast<std::streamsize>(kBatchBytes));
    text.resize(before + static_cast<std::size_t>(in.gcount()));
    whole = text.rfind('\n');
  }
  text.resize(whole == std::string::npos ? 0 : whole + 1);
  return text;
}

}  // namespace

Ingest::Ingest(db::Database& database, HomePaths paths, const core::Clock& clock, EventBus& bus, MetricsRegistry* metrics)
    : database_(database), paths_(std::move(paths)), clock_(clock), bus_(bus), metrics_(metrics) {}

void Ingest::drain_live() {
  const std::vector<db::RunRow> live = database_.read([](db::Connection& c) { return db::RunStore(c).in_states(core::live_run_states()); });
  for (const db::RunRow& run : live) {
    try {
      drain(run.id);
      last_error_.erase(run.id);
    } catch (const std::exception& e) {
      if (std::exchange(last_error_[run.id], e.what()) != e.what())
        log_with(spdlog::level::err, std::string("a journal cannot be stored: ") + e.what(), {{"run", run.id}});
    }
  }
}

void Ingest::drain(std::int64_t run_id) {
  const std::lock_guard lock(mutex_);
  while (read_batch(run_id)) {
  }
}

void Ingest::drain_to_the_end(std::int64_t run_id) {
  std::ifstream(paths_.journal(run_id)).get();
  drain(run_id);
}

bool Ingest::read_batch(std::int64_t run_id) {
  const std::filesystem::path file = paths_.journal(run_id);
  std::error_code missing;
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(file, missing));
  if (missing) return false;
  const auto known = read_to_.find(run_id);
  if (known != read_to_.end() && known->second == size) return false;

  const auto start = std::chrono::steady_clock::now();
  IngestedBatch batch;
  std::vector<std::int64_t> experiments;
  std::int64_t read_to = 0;
  const bool any = database_.write([&](db::Connection& c) {
    db::JournalStore journals(c);
    db::JournalPosition position = journals.position(run_id);
    if (position.byte_offset > size) position.byte_offset = 0;
    const std::string text = read_lines(file, position.byte_offset);
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find('\n', begin);
      const std::string line = text.substr(begin, end - begin);
      const std::int64_t line_offset = position.byte_offset + static_cast<std::int64_t>(begin);
      begin = end + 1;
      if (line.empty()) continue;
      try {
        const core::Event event = core::decode(line);
        if (std::tuple(event.attempt, event.seq) <= std::tuple(position.attempt, position.seq)) continue;
        position.attempt = event.attempt;
        position.seq = event.seq;
        apply_event(c, run_id, event, clock_.now());
        ++batch.events;
      } catch (const nlohmann::json::exception& e) {
        ++batch.skipped_lines;
        spdlog::warn("{}: the event at byte {} is skipped: {}", file.string(), line_offset, e.what());
      } catch (const core::Error& e) {
        ++batch.skipped_lines;
        spdlog::warn("{}: the line at byte {} is skipped: {}", file.string(), line_offset, e.what());
      }
    }
    batch.bytes = static_cast<std::int64_t>(text.size());
    position.byte_offset += batch.bytes;
    read_to = position.byte_offset;
    if (text.empty()) return false;
    journals.set_position(run_id, position);
    experiments = db::ExperimentStore(c).experiments_of(run_id);
    return true;
  });
  read_to_[run_id] = read_to;
  if (!any) return false;
  batch.took = std::chrono::steady_clock::now() - start;
  if (metrics_) metrics_->add_batch(batch);
  bus_.run_progressed(run_id);
  for (const std::int64_t experiment : experiments) bus_.experiment_changed(experiment);
  return true;
}

}  // namespace moelab::server
