// Owns when the simulated daemon dies and when its database refuses a commit: at every effect it has on the world, the database's
// commits included. Nothing a dead daemon does takes effect. One a world.
#pragma once

#include <SQLiteCpp/Database.h>
#include <sqlite3.h>

#include <random>

#include "db/database.h"

namespace moelab::sim {

// Thrown where a real daemon would have died. No std::exception: nobody in the engine may catch it.
struct DaemonDied {};

class Fate {
 public:
  explicit Fate(std::mt19937& random) : random_(random) {}

  double death_rate = 0;  // an effect
  double error_rate = 0;  // a commit

  bool dead() const { return dead_; }
  void revive() { dead_ = false; }
  // Before and after everything the daemon does to a process.
  void strike() {
    if (dead_ || hits(death_rate)) {
      dead_ = true;
      throw DaemonDied{};
    }
  }
  // A death, or a full disk, can come before a commit; a death also right after it.
  void watch(db::Database& database) {
    database.write([this](db::Connection& c) {
      sqlite3* const raw = c.handle().getHandle();
      sqlite3_commit_hook(raw, [](void* self) { return static_cast<Fate*>(self)->refuses_commit() ? 1 : 0; }, this);
      sqlite3_wal_hook(raw, [](void* self, sqlite3*, const char*, int) { return static_cast<Fate*>(self)->committed(); }, this);
    });
  }

 private:
  bool hits(double rate) { return rate > 0 && std::uniform_real_distribution<>(0, 1)(random_) < rate; }
  bool refuses_commit() {
    if (hits(death_rate)) dead_ = true;
    return dead_ || hits(error_rate);
  }
  int committed() {
    if (hits(death_rate)) dead_ = true;
    return SQLITE_OK;
  }

  std::mt19937& random_;
  bool dead_ = false;
};

}  // namespace moelab::sim
