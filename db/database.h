// Owns the SQLite file: opening, checking, migrating, and who may use which connection. One writer connection (write() is
// serialised) and a pool of readers (each read() sees one snapshot and never waits for the writer, thanks to WAL).
// The stores are light wrappers around the Connection that write() and read() hand out. Called by server/ and tests.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "db/migrations.h"

namespace SQLite {
class Database;
class Statement;
}  // namespace SQLite

namespace moelab::db {

// One SQLite connection, used by one thread at a time. Keeps its prepared statements.
class Connection {
 public:
  enum class Mode { create, write, read };
  Connection(const std::filesystem::path& file, Mode mode);
  ~Connection();

  // Statements without results and parameters.
  void exec(const std::string& sql);
  // Prepared on first use; db/statement.h wraps it.
  SQLite::Statement& prepare(const std::string& sql);
  SQLite::Database& handle() { return *database_; }

 private:
  std::unique_ptr<SQLite::Database> database_;
  std::unordered_map<std::string, std::unique_ptr<SQLite::Statement>> statements_;
};

class Database {
 public:
  // Opens or creates `file`, checks its integrity and brings it to the newest schema in one transaction. Throws
  // Error(storage) that names the file and the remedy: unwritable, not a database, another program's, corrupt, newer.
  explicit Database(std::filesystem::path file, const std::vector<Migration>& migrations = embedded_migrations());
  ~Database();

  // Runs work(Connection&) in a write transaction; rolls back when it throws. SQLite errors become Error(storage).
  template <class Work>
  auto write(Work&& work) {
    return with_result<Work>([this](const Task& task) { write_task(task); }, work);
  }
  // Runs work(Connection&) on a snapshot. Not to be nested in write(): it would not see what that has written.
  template <class Work>
  auto read(Work&& work) {
    return with_result<Work>([this](const Task& task) { read_task(task); }, work);
  }

  const std::filesystem::path& file() const { return file_; }
  // The file did not exist, or was empty, before it was opened.
  bool is_new() const { return is_new_; }

 private:
  using Task = std::function<void(Connection&)>;

  template <class Work, class Run>
  static auto with_result(Run&& run, Work& work) {
    using Result = std::invoke_result_t<Work&, Connection&>;
    if constexpr (std::is_void_v<Result>) {
      run([&](Connection& c) { work(c); });
    } else {
      std::optional<Result> result;
      run([&](Connection& c) { result.emplace(work(c)); });
      return std::move(*result);
    }
  }
  void write_task(const Task& task);
  void read_task(const Task& task);
  void migrate(const std::vector<Migration>& migrations);

  std::filesystem::path file_;
  bool is_new_ = false;
  std::mutex write_mutex_;
  std::unique_ptr<Connection> writer_;
  std::mutex readers_mutex_;
  std::vector<std::unique_ptr<Connection>> idle_readers_;
};

}  // namespace moelab::db
