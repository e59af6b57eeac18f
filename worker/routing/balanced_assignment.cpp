#include "worker/routing/balanced_assignment.h"

#include <cstdint>
#include <limits>
#include <queue>
#include <utility>
#include <vector>

namespace moelab::worker {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr double kRoundingGain = 1e-12;  // a detour must gain more than sums of doubles may err, or paths would turn in circles

// One token at a time enters at an expert; a full expert passes one of its tokens on, until the chain ends at an expert with room.
// Room: floor(T/E) tokens, and one more for T mod E of the experts. An expert at its floor may also take over the extra place of
// another, which then has to pass a token on.
class Matcher {
 public:
  Matcher(const double* score, std::int64_t tokens, std::int64_t experts)
      : score_(score),
        experts_(experts),
        floor_(tokens / experts),
        extras_(tokens % experts),
        expert_of_(static_cast<std::size_t>(tokens), -1),
        load_(static_cast<std::size_t>(experts), 0),
        movers_(static_cast<std::size_t>(experts * experts)) {}

  std::vector<std::int64_t> solve() {
    for (std::int64_t token = 0; token < static_cast<std::int64_t>(expert_of_.size()); ++token) insert(token);
    return std::move(expert_of_);
  }

 private:
  using Mover = std::pair<double, std::int64_t>;  // gain of moving a token, and the token; the best on top, lower tokens first
  struct Worse {
    bool operator()(const Mover& a, const Mover& b) const { return a.first != b.first ? a.first < b.first : a.second > b.second; }
  };
  using Movers = std::priority_queue<Mover, std::vector<Mover>, Worse>;

  double score(std::int64_t token, std::int64_t expert) const { return score_[token * experts_ + expert]; }
  std::int64_t& load(std::int64_t expert) { return load_[static_cast<std::size_t>(expert)]; }

  // The best token to move from one expert to another; tokens that have left since are dropped.
  const Mover* best_mover(std::int64_t from, std::int64_t to) {
    Movers& movers = movers_[static_cast<std::size_t>(from * experts_ + to)];
    while (!movers.empty() && expert_of_[static_cast<std::size_t>(movers.top().second)] != from) movers.pop();
    return movers.empty() ? nullptr : &movers.top();
  }

  void place(std::int64_t token, std::int64_t expert) {
    expert_of_[static_cast<std::size_t>(token)] = expert;
    for (std::int64_t other = 0; other < experts_; ++other) {
      if (other == expert) continue;
      movers_[static_cast<std::size_t>(expert * experts_ + other)].emplace(score(token, other) - score(token, expert), token);
    }
  }

  bool has_room(std::int64_t expert) { return load(expert) < floor_ || (load(expert) == floor_ && extras_used_ < extras_); }

  struct Step {
    std::int64_t from = -1;   // the expert before, -1 = the token enters here
    std::int64_t token = -1;  // the token that moves here, -1 = none: an extra place is taken over
  };

  void insert(std::int64_t token) {
    // Largest gain of a chain that ends at each expert (Bellman-Ford: gains have both signs, circles never gain).
    std::vector<double> gain(static_cast<std::size_t>(experts_));
    std::vector<Step> step(static_cast<std::size_t>(experts_));
    for (std::int64_t e = 0; e < experts_; ++e)
      gain[static_cast<std::size_t>(e)] = score(token, e), step[static_cast<std::size_t>(e)] = {-1, token};
    for (bool changed = true; changed;) {
      changed = false;
      for (std::int64_t a = 0; a < experts_; ++a) {
        if (has_room(a)) continue;  // a chain that can end here need not go on
        for (std::int64_t b = 0; b < experts_; ++b) {
          if (a == b) continue;
          const Mover* mover = best_mover(a, b);
          const auto from = static_cast<std::size_t>(a), to = static_cast<std::size_t>(b);
          if (mover != nullptr && gain[from] + mover->first > gain[to] + kRoundingGain) {
            gain[to] = gain[from] + mover->first;
            step[to] = {a, mover->second};
            changed = true;
          }
          if (load(a) == floor_ && load(b) > floor_ && gain[from] > gain[to] + kRoundingGain) {
            gain[to] = gain[from];
            step[to] = {a, -1};
            changed = true;
          }
        }
      }
    }
    std::int64_t end = -1;
    for (std::int64_t e = 0; e < experts_; ++e) {
      if (has_room(e) && (end < 0 || gain[static_cast<std::size_t>(e)] > gain[static_cast<std::size_t>(end)])) end = e;
    }
    follow(end, step);
  }

  // Carries out the chain from its end to its beginning. Loads change at the end, and where an extra place changes hands.
  void follow(std::int64_t end, const std::vector<Step>& step) {
    if (load(end)++ == floor_) ++extras_used_;
    for (std::int64_t expert = end;;) {
      const Step& taken = step[static_cast<std::size_t>(expert)];
      if (taken.token >= 0) {
        place(taken.token, expert);
      } else {
        --load(expert);
        ++load(taken.from);
      }
      if (taken.from < 0) return;
      expert = taken.from;
    }
  }

  const double* score_;
  std::int64_t experts_, floor_, extras_;
  std::int64_t extras_used_ = 0;
  std::vector<std::int64_t> expert_of_;
  std::vector<std::int64_t> load_;
  std::vector<Movers> movers_;  // [from, to]
};

}  // namespace

torch::Tensor balanced_assignment(const torch::Tensor& score_TE) {
  const torch::NoGradGuard no_grad;
  const auto score = score_TE.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  TORCH_CHECK(score.isfinite().all().item<bool>(), "balanced_assignment: the scores are not finite");
  const auto expert = Matcher(score.const_data_ptr<double>(), score.size(0), score.size(1)).solve();
  return torch::tensor(expert, torch::kInt64).to(score_TE.device());
}

}  // namespace moelab::worker
