// Owns the JSON form of one listing of a run in listings.json: the experiment and the run's place in it. Written by
// submission, read by rebuild.
#pragma once

#include <nlohmann/json.hpp>
#include <utility>

#include "db/experiment_store.h"

namespace moelab::server {

nlohmann::json listing_to_json(const db::ExperimentRow& experiment, const db::MemberRow& member);
// The member's run_id and experiment_id are left at 0. Throws a JSON exception or core::Error when a key is missing.
std::pair<db::ExperimentRow, db::MemberRow> listing_from_json(const nlohmann::json& json);

}  // namespace moelab::server
