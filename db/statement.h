// Owns how the stores talk to SQLite: a borrowed prepared statement that is reset when it goes out of scope, typed
// binding by position and typed columns. For db/*.cpp only.
#pragma once

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>

#include <chrono>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/run_state.h"
#include "db/database.h"

namespace moelab::db {

inline std::int64_t to_ms(core::TimePoint time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
inline core::TimePoint from_ms(std::int64_t ms) {
  return core::TimePoint(std::chrono::milliseconds(ms));
}

// Binary bytes to bind.
struct Blob {
  const std::string& bytes;
};

class Statement {
 public:
  Statement(Connection& connection, const std::string& sql) : statement_(connection.prepare(sql)) {}
  template <class... Values>
  Statement(Connection& connection, const std::string& sql, const Values&... values) : Statement(connection, sql) {
    bind_all(values...);
  }
  ~Statement() {
    statement_.tryReset();
    statement_.clearBindings();
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Binds every parameter, in order, and makes the statement ready to run again.
  template <class... Values>
  void bind_all(const Values&... values) {
    statement_.reset();
    int index = 0;
    (bind(++index, values), ...);
  }
  // The same for a list known only at run time.
  void bind_list(const std::vector<std::string>& values) {
    statement_.reset();
    int index = 0;
    for (const std::string& value : values) bind(++index, value);
  }
  // The next row, if there is one.
  bool step() { return statement_.executeStep(); }
  // Runs a statement that returns nothing; rows changed.
  int run() { return statement_.exec(); }

  bool is_null(int column) const { return statement_.getColumn(column).isNull(); }
  std::int64_t integer(int column) const { return statement_.getColumn(column).getInt64(); }
  int small(int column) const { return statement_.getColumn(column).getInt(); }
  bool boolean(int column) const { return integer(column) != 0; }
  std::optional<bool> maybe_boolean(int column) const { return is_null(column) ? std::nullopt : std::optional(boolean(column)); }
  std::string text(int column) const { return statement_.getColumn(column).getString(); }
  // NULL is how SQLite stores NaN.
  double real(int column) const {
    return is_null(column) ? std::numeric_limits<double>::quiet_NaN() : statement_.getColumn(column).getDouble();
  }
  core::TimePoint time(int column) const { return from_ms(integer(column)); }
  core::RunState state(int column) const { return core::run_state_from(text(column)); }
  std::optional<std::int64_t> maybe_integer(int column) const { return is_null(column) ? std::nullopt : std::optional(integer(column)); }
  std::optional<double> maybe_real(int column) const { return is_null(column) ? std::nullopt : std::optional(real(column)); }
  std::optional<core::TimePoint> maybe_time(int column) const { return is_null(column) ? std::nullopt : std::optional(time(column)); }

 private:
  void bind(int index, std::integral auto value) { statement_.bind(index, static_cast<std::int64_t>(value)); }
  void bind(int index, double value) { statement_.bind(index, value); }
  void bind(int index, const char* value) { statement_.bind(index, value); }
  void bind(int index, const std::string& value) { statement_.bind(index, value); }
  void bind(int index, const Blob& blob) { statement_.bind(index, blob.bytes.data(), static_cast<int>(blob.bytes.size())); }
  void bind(int index, core::TimePoint value) { statement_.bind(index, to_ms(value)); }
  void bind(int index, core::RunState value) { statement_.bind(index, core::to_string(value)); }
  template <class T>
  void bind(int index, const std::optional<T>& value) {
    if (value) {
      bind(index, *value);
    } else {
      statement_.bind(index);
    }
  }

  SQLite::Statement& statement_;
};

}  // namespace moelab::db
