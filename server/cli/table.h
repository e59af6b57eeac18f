// Owns listings: the same rows as an aligned table for people or as CSV for programs. Used by every listing command.
#pragma once

#include <string>
#include <vector>

#include "server/cli/terminal.h"

namespace moelab::server::cli {

struct Column {
  std::string title;
  bool right = false;  // numbers
  bool wide = false;   // may be cut to what the terminal leaves; at most one column, the last
};

struct Cell {
  Cell(std::string content = "", Tone colour = Tone::plain) : text(std::move(content)), tone(colour) {}
  std::string text;
  Tone tone;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns.
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }

  // With a title line; every line ends with a newline. Columns without any text are left out.
  std::string text(const Terminal& terminal) const;
  // RFC 4180, with a title line.
  std::string csv() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace moelab::server::cli
