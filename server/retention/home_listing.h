// Owns looking at what the home holds, for retention: the runs' directories with what the database knows of them, the cache, the
// trash. Reads only. Used by gc.
#pragma once

#include "db/database.h"
#include "server/paths.h"
#include "server/retention/retention.h"

namespace moelab::server {

// A run, or a part of one, that appears or goes meanwhile may be missing; gc asks again before it acts.
HomeListing list_home(db::Database& database, const HomePaths& paths);

}  // namespace moelab::server
