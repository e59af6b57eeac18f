#include "db/database.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/run_state.h"

namespace moelab::db {
namespace {

constexpr int kApplicationId = 0x4d6f656c;  // "Moel", in the file's header
constexpr int kBusyTimeoutMs = 10'000;

core::Error storage_error(const std::filesystem::path& file, const std::string& message) {
  return {core::ErrorKind::storage, file.string() + ": " + message};
}

// What a person can do about an SQLite error, by its code.
core::Error translate(const std::filesystem::path& file, const SQLite::Exception& e) {
  switch (e.getErrorCode()) {
    case SQLITE_NOTADB:
      return storage_error(file, "is not a database. Run `moelab db rebuild`: the journals of the runs hold everything");
    case SQLITE_CORRUPT:
      return storage_error(file, "the database is corrupt. Run `moelab db rebuild`: the journals of the runs hold everything");
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return storage_error(file, "cannot be opened for writing. Check the directory and its permissions, or set MOELAB_HOME");
    case SQLITE_FULL:
      return storage_error(file, "the disk is full. Free some space");
    case SQLITE_BUSY:
      return storage_error(file, "is locked by another program. Close it and try again");
    default:
      return storage_error(file, std::string("database error: ") + e.what());
  }
}

int open_flags(Connection::Mode mode) {
  switch (mode) {
    case Connection::Mode::create:
      return SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX;
    case Connection::Mode::write:
      return SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX;
    case Connection::Mode::read:
      break;
  }
  return SQLite::OPEN_READONLY | SQLite::OPEN_NOMUTEX;
}

// Rolls back unless committed.
class Transaction {
 public:
  Transaction(Connection& connection, const char* begin) : connection_(connection) { connection_.exec(begin); }
  ~Transaction() {
    if (open_) connection_.handle().tryExec("ROLLBACK");
  }
  void commit() {
    connection_.exec("COMMIT");
    open_ = false;
  }

 private:
  Connection& connection_;
  bool open_ = true;
};

std::string with_run_states(std::string sql) {
  std::string list;
  for (const core::RunState state : core::all_run_states()) list += (list.empty() ? "'" : ", '") + core::to_string(state) + "'";
  const std::string mark = "{{run_states}}";
  for (std::size_t at = sql.find(mark); at != std::string::npos; at = sql.find(mark, at)) sql.replace(at, mark.size(), list);
  return sql;
}

}  // namespace

Connection::Connection(const std::filesystem::path& file, Mode mode)
    : database_(std::make_unique<SQLite::Database>(file.string(), open_flags(mode), kBusyTimeoutMs)) {
  exec("PRAGMA foreign_keys = ON");
}

Connection::~Connection() = default;

void Connection::exec(const std::string& sql) {
  database_->exec(sql);
}

SQLite::Statement& Connection::prepare(const std::string& sql) {
  auto& statement = statements_[sql];
  if (!statement) statement = std::make_unique<SQLite::Statement>(*database_, sql);
  return *statement;
}

Database::Database(std::filesystem::path file, const std::vector<Migration>& migrations) : file_(std::move(file)) {
  std::error_code ignored;
  const bool exists = std::filesystem::exists(file_, ignored);
  is_new_ = !exists || std::filesystem::file_size(file_, ignored) == 0;
  try {
    writer_ = std::make_unique<Connection>(file_, Connection::Mode::create);
    // It holds the secrets of webhooks. SQLite gives the files beside it the same permissions.
    std::filesystem::permissions(file_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, ignored);
    // WAL lets readers go on while the writer writes; with it NORMAL never corrupts, and what a power cut takes back is
    // read again from the journals.
    writer_->exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    migrate(migrations);
  } catch (const SQLite::Exception& e) {
    throw translate(file_, e);
  }
}

Database::~Database() = default;

void Database::migrate(const std::vector<Migration>& migrations) {
  SQLite::Database& db = writer_->handle();
  const int version = db.execAndGet("PRAGMA user_version").getInt();
  const int newest = static_cast<int>(migrations.size());
  if (!is_new_) {
    if (db.execAndGet("PRAGMA application_id").getInt() != kApplicationId) {
      throw storage_error(file_, "is the database of another program. Set MOELAB_HOME to another directory");
    }
    const std::string check = db.execAndGet("PRAGMA quick_check(1)").getString();
    if (check != "ok") {
      throw storage_error(file_,
                          "the database is corrupt (" + check + "). Run `moelab db rebuild`: the journals of the runs hold everything");
    }
  }
  if (version > newest) {
    throw storage_error(file_, "was written by a newer Moelab (schema " + std::to_string(version) + ", this one knows " +
                                   std::to_string(newest) + "). Install that one, or set MOELAB_HOME to another directory");
  }
  Transaction transaction(*writer_, "BEGIN IMMEDIATE");
  for (int next = version; next < newest; ++next) writer_->exec(with_run_states(migrations[static_cast<std::size_t>(next)].sql));
  writer_->exec("PRAGMA application_id = " + std::to_string(kApplicationId));
  writer_->exec("PRAGMA user_version = " + std::to_string(newest));
  transaction.commit();
}

void Database::write_task(const Task& task) {
  const std::lock_guard lock(write_mutex_);
  try {
    Transaction transaction(*writer_, "BEGIN IMMEDIATE");
    task(*writer_);
    transaction.commit();
  } catch (const SQLite::Exception& e) {
    throw translate(file_, e);
  }
}

void Database::read_task(const Task& task) {
  std::unique_ptr<Connection> reader;
  {
    const std::lock_guard lock(readers_mutex_);
    if (!idle_readers_.empty()) {
      reader = std::move(idle_readers_.back());
      idle_readers_.pop_back();
    }
  }
  try {
    if (!reader) reader = std::make_unique<Connection>(file_, Connection::Mode::read);
    Transaction transaction(*reader, "BEGIN");
    task(*reader);
    transaction.commit();
  } catch (const SQLite::Exception& e) {
    throw translate(file_, e);
  }
  // A connection whose task threw is dropped instead: its statements may still be in the middle of a result.
  const std::lock_guard lock(readers_mutex_);
  idle_readers_.push_back(std::move(reader));
}

}  // namespace moelab::db
