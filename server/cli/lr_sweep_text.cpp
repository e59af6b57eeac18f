#include "server/cli/lr_sweep_text.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/number_text.h"
#include "server/cli/format.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

constexpr int kChartWidth = 61;
constexpr int kChartHeight = 9;

bool counts(const json& row) {
  return row.at("note").get<std::string>().empty();
}

std::string rate_text(const json& rate) {
  return core::number_text(rate.get<double>());
}

Cell loss_cell(const json& row, const char* key, bool precise) {
  if (row.at(key).is_null()) return Cell();
  if (precise) return Cell(plain(row.at(key)));
  return Cell(fixed(number_or(row, key, std::nan("")), 4));
}

struct Point {
  double rate = 0, log_rate = 0;
  double loss = 0;
  bool diverged = false;
  bool best = false;
};

std::vector<Point> points_of(const json& variant) {
  std::vector<Point> points;
  for (const json& row : variant.at("rates")) {
    const bool diverged = row.at("diverged").get<bool>();
    if (!counts(row) && !diverged) continue;
    const auto rate = row.at("rate").get<double>();
    points.push_back({rate, std::log10(rate), number_or(row, "last_loss", std::nan("")), diverged, variant.at("best") == row.at("rate")});
  }
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.log_rate < b.log_rate; });
  return points;
}

}  // namespace

Table lr_sweep_table(const std::vector<json>& reports, bool precise) {
  Table table({{"experiment"},
               {"variant"},
               {"lr", true},
               {precise ? "last_loss" : "last loss", true},
               {precise ? "mean_of_last_10" : "mean of 10", true},
               {precise ? "grad_norm" : "grad norm", true},
               {"step", true},
               {"suggested"},
               {"note", false, true}});
  for (const json& report : reports) {
    for (const json& variant : report.at("variants")) {
      for (const json& row : variant.at("rates")) {
        const bool best = variant.at("best") == row.at("rate");
        const Tone tone = best ? Tone::good : Tone::plain;
        table.add({text_or(report, "experiment"), text_or(variant, "name"), Cell(rate_text(row.at("rate")), tone),
                   loss_cell(row, "last_loss", precise), loss_cell(row, "smoothed_loss", precise),
                   loss_cell(row, "last_grad_norm", precise), row.at("step").dump(), Cell(best ? "*" : "", Tone::good),
                   Cell(text_or(row, "note"), Tone::warn)});
      }
    }
  }
  return table;
}

std::string lr_chart(const json& variant) {
  const std::vector<Point> points = points_of(variant);
  double low = INFINITY, high = -INFINITY;
  int counted = 0;
  for (const Point& point : points) {
    if (point.diverged) continue;
    low = std::min(low, point.loss);
    high = std::max(high, point.loss);
    ++counted;
  }
  const double left = points.empty() ? 0 : points.front().log_rate, right = points.empty() ? 0 : points.back().log_rate;
  if (counted < 2 || right <= left) return "";
  std::vector<std::string> canvas(kChartHeight, std::string(kChartWidth, ' '));
  const auto column = [&](double log_rate) {
    return static_cast<std::size_t>(std::lround((log_rate - left) / (right - left) * (kChartWidth - 1)));
  };
  for (const Point& point : points) {
    const double height = point.diverged ? 1 : high > low ? (point.loss - low) / (high - low) : 0;
    const auto row = static_cast<std::size_t>(std::lround((1 - height) * (kChartHeight - 1)));
    canvas[row][column(point.log_rate)] = point.diverged ? 'x' : point.best ? '@' : 'o';
  }
  std::ostringstream text;
  for (int row = 0; row < kChartHeight; ++row) {
    const std::string label = row == 0 ? fixed(high, 4) : row == kChartHeight - 1 ? fixed(low, 4) : "";
    text << std::string(static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, 10 - std::ssize(label))), ' ') << label << " |"
         << canvas[static_cast<std::size_t>(row)] << "\n";
  }
  std::string axis(kChartWidth, '-');
  for (int decade = static_cast<int>(std::ceil(left - 1e-9)); decade <= std::floor(right + 1e-9); ++decade) {
    axis[column(std::clamp<double>(decade, left, right))] = '+';
  }
  const std::string first = core::number_text(points.front().rate), last = core::number_text(points.back().rate);
  const std::ptrdiff_t gap = kChartWidth - std::ssize(first) - std::ssize(last);
  text << std::string(11, ' ') << '+' << axis << "\n"
       << std::string(12, ' ') << first << std::string(static_cast<std::size_t>(std::max<std::ptrdiff_t>(1, gap)), ' ') << last << "  lr\n";
  return text.str();
}

std::string lr_suggestions(const std::vector<json>& reports) {
  std::ostringstream text;
  for (const json& report : reports) {
    for (const json& variant : report.at("variants")) {
      const std::string name = text_or(report, "experiment") + "/" + text_or(variant, "name");
      text << name << ": " << (variant.at("best").is_null() ? "no rate: " + text_or(variant, "refusal") : rate_text(variant.at("best")))
           << "\n";
      for (const json& warning : variant.at("warnings")) text << "  " << warning.get<std::string>() << "\n";
    }
  }
  return text.str();
}

std::string lr_yaml(const std::vector<json>& reports) {
  std::ostringstream text;
  for (const json& report : reports) {
    const std::string experiment = text_or(report, "experiment");
    std::string variants, comments;
    for (const json& variant : report.at("variants")) {
      if (variant.at("best").is_null()) continue;
      const std::string name = text_or(variant, "name"), rate = rate_text(variant.at("best"));
      if (name == experiment) {
        comments += "    defaults: {train.lr: " + rate + "}\n";
      } else if (name.find('=') == std::string::npos) {
        variants += "      " + name + ": {train.lr: " + rate + "}\n";
      } else {
        comments += "    # " + name + ": train.lr: " + rate + " (a point of the axes: vary train.lr with them under `zip`)\n";
      }
    }
    if (variants.empty() && comments.empty()) continue;
    text << "  - name: " << experiment << "\n" << comments;
    if (!variants.empty()) text << "    variants:\n" << variants;
  }
  return text.str();
}

}  // namespace moelab::server::cli
