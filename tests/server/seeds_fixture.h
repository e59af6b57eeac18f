// Owns a served matrix of two families with three seeds each, none (the baseline) and penalty, whose runs tests put through
// their lives. Used by http_statistics_test.cpp and cli_stats_test.cpp.
#pragma once

#include <string>
#include <vector>

#include "tests/server/http_fixture.h"

namespace moelab::test {

struct SeedsServed : Served {
  SeedsServed() {
    std::string source = kMatrix;
    source.replace(source.find("      bias: {moe.lb_gamma: 0.01}\n"), std::string::npos, "    seeds: [0, 1, 2]\n");
    submitted = post("/api/v1/experiments", submission({{"source", source}}), 201);
    path = "/api/v1/experiments/" + submitted.at("experiments").at(0).at("id").dump() + "/statistics";
  }
  std::int64_t run(const std::string& family, int seed) const {
    for (const nlohmann::json& one : submitted.at("runs")) {
      if (one.at("name") == family + ",seed=" + std::to_string(seed)) return one.at("id");
    }
    FAIL("no run of " << family << " with seed " << seed);
    return 0;
  }
  // Seeds 0, 1, ... of the family complete with these losses.
  void complete(const std::string& family, const std::vector<double>& losses) {
    for (std::size_t seed = 0; seed < losses.size(); ++seed) {
      const std::int64_t id = run(family, static_cast<int>(seed));
      add_metrics(id, 40, {{"eval/loss", losses[seed]}});
      finish(id, core::RunState::completed);
    }
  }
  // One whole attempt from step 0, through the journal as a worker writes it.
  void train(std::int64_t id, double loss) {
    const int attempt = home.database.write([&](db::Connection& c) {
      db::RunStore runs(c);
      if (core::is_terminal(runs.get(id).state)) runs.requeue(id, true, "", home.clock.now());
      return runs.begin_attempt(id, {"cpu0"}, home.clock.now());
    });
    JournalWriter journal(home.paths.journal(id), attempt);
    journal.started(0);
    journal.write(core::EventType::eval, 40, {{"values", {{"eval/loss", loss}}}});
    journal.finished(40, "completed");
    home.ingest.drain(id);
    home.database.write([&](db::Connection& c) {
      db::AttemptEnd end;
      end.to = core::RunState::completed;
      db::RunStore(c).end_attempt(id, end, home.clock.now());
    });
  }

  nlohmann::json submitted;
  std::string path;  // of the statistics
};

}  // namespace moelab::test
