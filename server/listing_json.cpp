#include "server/listing_json.h"

namespace moelab::server {

nlohmann::json listing_to_json(const db::ExperimentRow& e, const db::MemberRow& m) {
  return {{"experiment",
           {{"id", e.id},
            {"matrix", e.matrix},
            {"name", e.name},
            {"profile", e.profile},
            {"baseline", e.baseline},
            {"notes", e.notes},
            {"tags", e.tags},
            {"source", e.source},
            {"max_concurrent", e.max_concurrent},
            {"prune", e.prune},
            {"created_at", core::to_rfc3339(e.created_at)}}},
          {"name", m.name},
          {"baseline", m.baseline},
          {"baseline_key", m.baseline_key},
          {"notes", m.notes},
          {"tags", m.tags},
          {"varied", m.varied},
          {"family", m.family}};
}

std::pair<db::ExperimentRow, db::MemberRow> listing_from_json(const nlohmann::json& json) {
  const nlohmann::json& e = json.at("experiment");
  db::ExperimentRow experiment;
  experiment.id = e.at("id").get<std::int64_t>();
  experiment.matrix = e.at("matrix").get<std::string>();
  experiment.name = e.at("name").get<std::string>();
  experiment.profile = e.at("profile").get<std::string>();
  experiment.baseline = e.at("baseline").get<std::string>();
  experiment.notes = e.at("notes").get<std::string>();
  experiment.tags = e.at("tags").get<std::vector<std::string>>();
  experiment.source = e.at("source").get<std::string>();
  experiment.max_concurrent = e.at("max_concurrent").get<int>();
  experiment.prune = e.value("prune", "");
  experiment.created_at = core::from_rfc3339(e.at("created_at").get<std::string>());
  db::MemberRow member;
  member.experiment = experiment.name;
  member.name = json.at("name").get<std::string>();
  member.baseline = json.at("baseline").get<std::string>();
  member.baseline_key = json.at("baseline_key").get<std::string>();
  member.notes = json.at("notes").get<std::string>();
  member.tags = json.at("tags").get<std::vector<std::string>>();
  member.varied = json.at("varied");
  member.family = json.value("family", member.name);
  return {experiment, member};
}

}  // namespace moelab::server
