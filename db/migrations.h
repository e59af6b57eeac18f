// Owns the list of schema changes, in order: db/migrations/NNNN_*.sql, embedded when CMake configures. Number N takes a
// database from schema version N-1 to N. Called by Database only; tests hand it lists of their own.
#pragma once

#include <string>
#include <vector>

namespace moelab::db {

struct Migration {
  std::string name;
  std::string sql;  // several statements; {{run_states}} stands for the quoted list of core::all_run_states()
};

const std::vector<Migration>& embedded_migrations();

}  // namespace moelab::db
