#include "server/cli/progress.h"

#include <algorithm>
#include <cmath>

#include "core/number_text.h"
#include "core/run_state.h"
#include "server/cli/format.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

constexpr int kBarWidth = 24;
constexpr int kMaxNameWidth = 32;

bool ended(const json& run) {
  return core::is_terminal(core::run_state_from(text_or(run, "state")));
}

std::string padded(const std::string& text, int width) {
  const std::string cut = fit(text, width);
  return cut + std::string(static_cast<std::size_t>(width - display_width(cut)), ' ');
}

std::string phase_name(const std::string& name) {
  if (name == "tokenize") return "tokenising";
  if (name == "train_tokenizer") return "training the tokenizer";
  return name;
}

double phase_share(const json& phase) {
  const double total = phase.at("total").get<double>();
  return total > 0 ? std::clamp(phase.at("done").get<double>() / total, 0.0, 1.0) : 0;
}

std::string step_text(const json& run) {
  return "step " + run.at("step").dump() + (run.at("max_steps").is_null() ? "" : "/" + run.at("max_steps").dump());
}

std::string metric_text(const json& run, const std::string& key, const std::string& label, int decimals) {
  const json& metrics = run.at("metrics");
  return has_number(metrics, key) ? "  " + label + " " + fixed(number_or(metrics, key, NAN), decimals) : "";
}

std::string speed_text(const json& run) {
  const double speed = number_or(run.at("metrics"), "perf/tokens_per_sec", 0);
  return speed > 0 ? "  " + count(speed) + " tok/s" : "";
}

}  // namespace

Progress::~Progress() {
  out_.flush();
}

std::string Progress::name_of(const json& run) const {
  return padded(text_or(run, "name"), name_width_);
}

std::string Progress::bar(double share) const {
  const int full = static_cast<int>(std::floor(std::clamp(share, 0.0, 1.0) * kBarWidth));
  std::string done, rest;
  for (int i = 0; i < full; ++i) done += terminal_.unicode ? "━" : "#";
  for (int i = full; i < kBarWidth; ++i) rest += terminal_.unicode ? "─" : "-";
  return terminal_.paint(Tone::active, done) + terminal_.paint(Tone::faint, rest);
}

std::string Progress::live_line(const json& run) const {
  const json& phase = run.at("phase");
  if (phase.is_object()) {
    return name_of(run) + "  " + bar(phase_share(phase)) + " " + percent(phase_share(phase)) + "  " + phase_name(text_or(phase, "name"));
  }
  const double share = run.at("progress").get<double>();
  std::string line = name_of(run) + "  " + bar(share) + " " + percent(share) + "  " + step_text(run) +
                     metric_text(run, "train/loss", "loss", 4) + speed_text(run);
  if (has_number(run, "eta_s")) line += "  eta " + duration(number_or(run, "eta_s", 0));
  if (text_or(run, "state") != "running") line += "  " + text_or(run, "state");
  return line + "  " + terminal_.paint(Tone::faint, text_or(run, "device"));
}

std::string Progress::end_line(const json& run) const {
  const std::string state = text_or(run, "state");
  std::string line =
      name_of(run) + "  " + terminal_.paint(tone_of(state), padded(state, 13)) + metric_text(run, "eval/loss", "eval/loss", 4);
  const double runtime_s = number_or(run, "runtime_s", 0);
  if (runtime_s > 0) line += "  in " + duration(runtime_s);
  line += speed_text(run);
  const std::string reason = text_or(run, "reason");
  if (state != "completed" && !reason.empty()) line += "  " + reason;
  return line;
}

std::string Progress::plain_line(const json& run) const {
  if (ended(run)) return end_line(run);
  const std::string state = text_or(run, "state");
  if (state != "running") return name_of(run) + "  " + state;
  const json& phase = run.at("phase");
  if (phase.is_object()) return name_of(run) + "  running        " + phase_name(text_or(phase, "name")) + " " + percent(phase_share(phase));
  return name_of(run) + "  running        " + percent(run.at("progress").get<double>()) + "  " + step_text(run) +
         metric_text(run, "train/loss", "loss", 4) + speed_text(run);
}

std::string Progress::summary(const std::vector<json>& runs) const {
  std::map<std::string, int> counts;
  for (const json& run : runs) ++counts[text_or(run, "state")];
  std::string text = core::counted(static_cast<std::int64_t>(runs.size()), "run") + ":";
  std::string separator = " ";
  for (const core::RunState state : core::all_run_states()) {
    const std::string name = core::to_string(state);
    if (counts[name] == 0) continue;
    text += separator + terminal_.paint(tone_of(name), std::to_string(counts[name]) + " " + name);
    separator = ", ";
  }
  return text;
}

// Lines worth saying once: ends, and without a terminal also states and every 10%.
std::vector<std::string> Progress::news(const std::vector<json>& runs) {
  std::vector<std::string> lines = std::exchange(said_, {});
  for (const json& run : runs) {
    const auto [entry, first] = seen_.try_emplace(run.at("id").get<std::int64_t>());
    const std::string state = text_or(run, "state");
    const int decile = state == "running" ? static_cast<int>(run.at("progress").get<double>() * 10) : 0;
    Seen& seen = entry->second;
    const bool changed = seen.state != state;
    const bool worth = terminal_.interactive ? changed && ended(run) : (changed && !(first && state == "queued")) || decile > seen.decile;
    if (worth) lines.push_back(terminal_.interactive ? end_line(run) : plain_line(run));
    seen = {state, changed ? decile : std::max(decile, seen.decile)};
  }
  return lines;
}

void Progress::show(const std::vector<json>& runs) {
  for (const json& run : runs) name_width_ = std::max(name_width_, std::min(display_width(text_or(run, "name")), kMaxNameWidth));
  const std::vector<std::string> lines = news(runs);
  if (!terminal_.interactive) {
    for (const std::string& line : lines) out_ << line << "\n";
    out_.flush();
    return;
  }
  // Lines must not wrap, or the region could not be found again.
  const auto whole = [this](const std::string& line) {
    return display_width(line) < terminal_.columns ? line : fit(without_colours(line), terminal_.columns - 1);
  };
  std::string text;
  if (drawn_lines_ > 0) text += "\033[" + std::to_string(drawn_lines_) + "A\r\033[J";
  for (const std::string& line : lines) text += line + "\n";
  drawn_lines_ = 0;
  const int room = std::max(1, terminal_.rows - 3);
  for (const json& run : runs) {
    if (ended(run) || text_or(run, "state") == "queued" || drawn_lines_ >= room) continue;
    text += whole(live_line(run)) + "\n";
    ++drawn_lines_;
  }
  text += whole(summary(runs)) + "\n";
  ++drawn_lines_;
  out_ << text << std::flush;
}

}  // namespace moelab::server::cli
