#include "server/analysis/lr_sweep.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "core/number_text.h"

namespace moelab::server {
namespace {

using core::RunState;

LrSweepRow row_of(const SweptRate& swept) {
  LrSweepRow row;
  row.rate = swept.rate;
  row.run_id = swept.run_id;
  row.state = swept.state;
  row.last_grad_norm = swept.grad_norm;
  if (!swept.loss.empty()) {
    std::tie(row.step, row.last_loss) = std::pair(swept.loss.back().first, swept.loss.back().second);
    const auto count = std::min(kSmoothedSteps, swept.loss.size());
    const auto sum = std::accumulate(swept.loss.end() - static_cast<std::ptrdiff_t>(count), swept.loss.end(), 0.0,
                                     [](double total, const auto& point) { return total + point.second; });
    row.smoothed_loss = sum / static_cast<double>(count);
  }
  row.diverged = std::any_of(swept.loss.begin(), swept.loss.end(), [](const auto& point) { return !std::isfinite(point.second); });
  if (row.diverged) {
    row.note = "diverged";
  } else if (!core::is_terminal(swept.state)) {
    row.note = core::to_string(swept.state);
  } else if (swept.state != RunState::completed) {
    row.note = core::to_string(swept.state) + (swept.reason.empty() ? "" : ": " + swept.reason);
  } else if (!row.last_loss) {
    row.note = "without a loss";
  }
  return row;
}

bool is_usable(const LrSweepRow& row) {
  return row.note.empty();
}

void suggest(LrSweepVariant& variant) {
  std::vector<LrSweepRow>& rows = variant.rows;
  std::sort(rows.begin(), rows.end(), [](const LrSweepRow& a, const LrSweepRow& b) {
    if (is_usable(a) != is_usable(b)) return is_usable(a);
    if (is_usable(a) && *a.last_loss != *b.last_loss) return *a.last_loss < *b.last_loss;
    return a.rate < b.rate;
  });
  const auto waiting = std::count_if(rows.begin(), rows.end(), [](const LrSweepRow& row) { return !core::is_terminal(row.state); });
  const auto count = static_cast<std::int64_t>(rows.size());
  variant.complete = waiting == 0;
  if (!variant.complete) {
    variant.refusal = std::to_string(waiting) + " of " + core::counted(count, "rate") + (waiting == 1 ? " has" : " have") + " not ended";
    return;
  }
  if (!is_usable(rows.front())) {
    const bool all_diverged = std::all_of(rows.begin(), rows.end(), [](const LrSweepRow& row) { return row.diverged; });
    variant.refusal = all_diverged ? "every rate diverged; sweep smaller ones" : "no rate completed; see the notes of its runs";
    return;
  }
  variant.best = rows.front().rate;
  const auto [least, most] =
      std::minmax_element(rows.begin(), rows.end(), [](const LrSweepRow& a, const LrSweepRow& b) { return a.rate < b.rate; });
  if (rows.size() > 1 && (*variant.best == least->rate || *variant.best == most->rate)) {
    const bool smallest = *variant.best == least->rate;
    variant.warnings.push_back("the best rate " + core::number_text(*variant.best) + " is the " + (smallest ? "smallest" : "largest") +
                               " tried; sweep " + (smallest ? "smaller" : "larger") + " ones too");
  }
  const auto ends = std::find_if(rows.begin(), rows.end(), [](const LrSweepRow& row) { return !is_usable(row); });
  const auto smooth = std::min_element(rows.begin(), ends, [](const LrSweepRow& a, const LrSweepRow& b) {
    return std::tie(*a.smoothed_loss, a.rate) < std::tie(*b.smoothed_loss, b.rate);
  });
  if (smooth->rate != *variant.best) {
    variant.warnings.push_back("by the mean of its last " + core::counted(std::min<std::int64_t>(kSmoothedSteps, rows.front().step), "step") + ", " +
                               core::number_text(smooth->rate) + " is best: the two are close");
  }
  const auto failed =
      std::count_if(rows.begin(), rows.end(), [](const LrSweepRow& row) { return !is_usable(row) && !row.diverged; });
  if (failed > 0) variant.warnings.push_back(std::to_string(failed) + " of " + core::counted(count, "rate") + " did not complete");
}

}  // namespace

LrSweepReport report_lr_sweep(const std::vector<SweptRate>& rates) {
  LrSweepReport report;
  if (!rates.empty()) {
    report.steps = rates.front().steps;
    report.warmup = rates.front().warmup;
  }
  for (const SweptRate& rate : rates) {
    auto variant = std::find_if(report.variants.begin(), report.variants.end(), [&](const auto& v) { return v.name == rate.variant; });
    if (variant == report.variants.end()) variant = report.variants.insert(variant, LrSweepVariant{rate.variant, {}, {}, false, {}, ""});
    variant->rows.push_back(row_of(rate));
  }
  for (LrSweepVariant& variant : report.variants) suggest(variant);
  return report;
}

}  // namespace moelab::server
