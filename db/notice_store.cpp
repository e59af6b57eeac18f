#include "db/notice_store.h"

#include "db/statement.h"

namespace moelab::db {

std::vector<NoticeRow> NoticeStore::oldest(std::int64_t limit) {
  std::vector<NoticeRow> list;
  Statement row(connection_,
                "SELECT id, type, time_ms, run_id, name, experiments, attempt, step, device, state, from_state, reason, code FROM notices "
                "ORDER BY id LIMIT ?",
                limit);
  while (row.step()) {
    list.push_back({row.integer(0), row.text(1), row.time(2), row.integer(3), row.text(4),
                    nlohmann::json::parse(row.text(5)).get<std::vector<std::string>>(), row.small(6), row.integer(7), row.text(8),
                    row.text(9), row.text(10), row.text(11), row.text(12)});
  }
  return list;
}

void NoticeStore::drop_up_to(std::int64_t id) {
  Statement(connection_, "DELETE FROM notices WHERE id <= ?", id).run();
}

std::int64_t NoticeStore::last_id() {
  Statement row(connection_, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'notices'");
  row.step();
  return row.integer(0);
}

std::string NoticeStore::stream() {
  Statement row(connection_, "SELECT name FROM notice_stream");
  row.step();
  return row.text(0);
}

std::optional<std::chrono::milliseconds> NoticeStore::queue_wait(RunId run, core::TimePoint left) {
  Statement row(connection_, "SELECT max(time_ms) FROM run_events WHERE run_id = ? AND to_state = 'queued' AND time_ms <= ?", run, left);
  row.step();
  if (row.is_null(0)) return std::nullopt;
  return std::chrono::milliseconds(to_ms(left) - row.integer(0));
}

}  // namespace moelab::db
