// Owns the questions to Slurm at submission: can the runs of a plan that go there be started at all? Called by run_service, from any
// thread.
#pragma once

#include <string>

#include "core/plan.h"
#include "server/slurm/slurm_client.h"

namespace moelab::server {

class SlurmCheck {
 public:
  // `by_default`: runs of resources.launcher "auto" go to Slurm. `jobs`: how many this daemon may have at once.
  SlurmCheck(SlurmClient client, bool by_default, int jobs);

  bool by_default() const { return by_default_; }
  // Throws Error(config) that lists every problem: no sbatch, no such partition, more GPUs or CPUs than its largest node has. A cluster
  // that does not answer just now is none: its runs wait.
  void require(const core::Plan& plan, const std::string& source_name) const;

 private:
  SlurmClient client_;
  bool by_default_;
  int jobs_;
};

}  // namespace moelab::server
