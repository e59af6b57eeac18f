#include "server/cli/table.h"

#include <algorithm>
#include <cassert>

namespace moelab::server::cli {

namespace {

constexpr int kGap = 2;

std::string padded(const Terminal& terminal, const Cell& cell, int width, bool right, bool last) {
  const std::string text = fit(cell.text, width);
  const std::string space(static_cast<std::size_t>(width - display_width(text)), ' ');
  const std::string painted = terminal.paint(cell.tone, text);
  if (right) return space + painted;
  return last ? painted : painted + space;
}

// A reason of several problems has several lines; a row of a table has one.
std::string one_line(std::string text) {
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at)) text.replace(at, 1, "; ");
  return text;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char character : text) {
    if (character == '"') quoted += '"';
    quoted += character;
  }
  return quoted + '"';
}

}  // namespace

void Table::add(std::vector<Cell> row) {
  assert(row.size() == columns_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text(const Terminal& terminal) const {
  std::vector<std::vector<Cell>> rows = rows_;
  for (auto& row : rows) {
    for (Cell& cell : row) cell.text = one_line(std::move(cell.text));
  }
  std::vector<std::size_t> shown;
  std::vector<int> widths(columns_.size());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    for (const auto& row : rows) widths[i] = std::max(widths[i], display_width(row[i].text));
    if (widths[i] == 0) continue;
    widths[i] = std::max(widths[i], display_width(columns_[i].title));
    shown.push_back(i);
  }
  if (shown.empty()) return "";
  if (terminal.columns > 0 && columns_[shown.back()].wide) {
    int others = 0;
    for (const std::size_t i : shown) others += i == shown.back() ? 0 : widths[i] + kGap;
    const int least = display_width(columns_[shown.back()].title);
    widths[shown.back()] = std::clamp(terminal.columns - others, least, std::max(least, widths[shown.back()]));
  }
  std::string text;
  const auto add_line = [&](auto&& cell_of) {
    for (const std::size_t i : shown) {
      text += padded(terminal, cell_of(i), widths[i], columns_[i].right, i == shown.back());
      text += i == shown.back() ? "\n" : std::string(kGap, ' ');
    }
  };
  add_line([&](std::size_t i) { return Cell(columns_[i].title, Tone::faint); });
  for (const auto& row : rows) {
    add_line([&](std::size_t i) { return row[i]; });
  }
  return text;
}

std::string Table::csv() const {
  std::string text;
  for (std::size_t i = 0; i < columns_.size(); ++i) text += (i ? "," : "") + csv_field(columns_[i].title);
  text += "\n";
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) text += (i ? "," : "") + csv_field(row[i].text);
    text += "\n";
  }
  return text;
}

}  // namespace moelab::server::cli
