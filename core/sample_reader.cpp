#include "core/sample_reader.h"

#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/field_io.h"
#include "core/map_reader.h"
#include "core/nearest_name.h"
#include "core/number_text.h"
#include "core/random_stream.h"

namespace moelab::core {
namespace {

constexpr const char* kForm =
    "a sampled knob is {uniform: [low, high]}, {log_uniform: [low, high]}, {int_uniform: [low, high]} or {choice: [values]}";

// Where one knob's values come from.
struct Source {
  std::vector<Node> choices;  // empty for a range
  const Node* low_node = nullptr;
  const Node* high_node = nullptr;
  double low = 0, high = 0;
  bool logarithmic = false;
  bool whole = false;
};

class SampleReader {
 public:
  SampleReader(const LayerReader& layers, ExperimentDef& experiment, std::vector<Problem>& problems)
      : layers_(layers), experiment_(experiment), problems_(problems) {}

  void read(const Node& node) {
    const std::string path = experiment_.name + ".sample";
    MapReader reader(node, path + '.', problems_);
    if (!node.is_map()) return;
    const std::size_t problems_before = problems_.size();
    const int count = reader.integer("count", 1, static_cast<int>(kMaxRuns)).value_or(0);
    const int seed = reader.integer("seed", 0, 2'000'000'000).value_or(0);
    if (!reader.find("count")) reader.report("count", "is missing; say how many rows to draw, e.g. `count: 20`");
    const Layer knobs = layers_.read_unchecked(reader.rest(), path);
    if (knobs.empty() && problems_.size() == problems_before) {
      problems_.push_back({path, node.line, std::string("names no knob; ") + kForm});
    }
    std::vector<Source> sources;
    for (const Assignment& knob : knobs) {
      if (std::optional<Source> source = read_source(knob)) sources.push_back(*std::move(source));
    }
    if (problems_.size() > problems_before) return;
    add_rows(knobs, sources, count, seed, node.line);
  }

 private:
  void report(const Assignment& knob, const std::string& message) { problems_.push_back({knob.path, knob.line, message}); }

  std::optional<Source> read_source(const Assignment& knob) {
    static const std::vector<std::string> kKinds{"uniform", "log_uniform", "int_uniform", "choice"};
    if (!knob.value.is_map() || knob.value.entries.size() != 1) {
      report(knob, kForm);
      return std::nullopt;
    }
    const NodeEntry& entry = knob.value.entries.front();
    if (entry.key == "choice") return read_choices(knob, entry.value);
    if (entry.key == "uniform" || entry.key == "log_uniform" || entry.key == "int_uniform") return read_range(knob, entry);
    report(knob, "unknown kind '" + entry.key + "'" + did_you_mean(entry.key, kKinds) + "; " + kForm);
    return std::nullopt;
  }

  // A value the knob does not take has been reported when this is false. The value itself, with file names made absolute, is in `value`.
  bool fits(const Assignment& knob, Node& value) {
    const Node* literal = value.entries.size() == 1 ? value.find("value") : nullptr;
    Assignment assignment{knob.path, literal ? *literal : value, value.line > 0 ? value.line : knob.line, knob.file, literal != nullptr};
    if (!layers_.check(assignment)) return false;
    value = std::move(assignment.value);
    return true;
  }

  std::optional<Source> read_choices(const Assignment& knob, const Node& list) {
    if (!list.is_list() || list.items.empty()) {
      report(knob, "choice needs a list of at least one value, not " + std::string(list.is_list() ? "an empty list" : describe(list)));
      return std::nullopt;
    }
    Source source;
    source.choices = list.items;
    bool all = true;
    for (Node& value : source.choices) all = fits(knob, value) && all;
    return all ? std::optional(std::move(source)) : std::nullopt;
  }

  std::optional<Source> read_range(const Assignment& knob, const NodeEntry& entry) {
    const Node& ends = entry.value;
    const auto number = [&](std::size_t i) {
      return ends.is_list() && ends.items.size() == 2 && ends.items[i].is_scalar() ? parse_number(ends.items[i].text) : std::nullopt;
    };
    const std::optional<double> low = number(0), high = number(1);
    if (!low || !high) {
      report(knob, entry.key + " needs two numbers, [low, high], not " + to_text(ends));
      return std::nullopt;
    }
    if (*low >= *high) {
      report(knob, entry.key + " needs a low end below its high end, not " + to_text(ends));
      return std::nullopt;
    }
    Source source{{}, &ends.items[0], &ends.items[1], *low, *high, entry.key == "log_uniform", is_integer_field(knob.path)};
    if (source.logarithmic && *low <= 0) {
      report(knob, "log_uniform needs ends greater than 0, not " + to_text(ends));
      return std::nullopt;
    }
    if (entry.key == "uniform" && source.whole) {
      report(knob, "takes whole numbers; write int_uniform in the place of uniform");
      return std::nullopt;
    }
    if (entry.key == "int_uniform") {
      source.whole = true;
      if (std::floor(*low) != *low || std::floor(*high) != *high || std::abs(*low) > 1e9 || std::abs(*high) > 1e9) {
        report(knob, "int_uniform needs whole ends of at most 1e9, not " + to_text(ends));
        return std::nullopt;
      }
    }
    Node first = ends.items[0], last = ends.items[1];
    const bool first_fits = fits(knob, first), last_fits = fits(knob, last);
    return first_fits && last_fits ? std::optional(std::move(source)) : std::nullopt;
  }

  static Node draw(const Source& source, RandomStream& stream, int line) {
    if (!source.choices.empty()) return source.choices[static_cast<std::size_t>(stream.below(std::ssize(source.choices)))];
    if (source.whole && !source.logarithmic) {
      const auto low = static_cast<std::int64_t>(source.low);
      return Node::scalar(std::to_string(low + stream.below(static_cast<std::int64_t>(source.high) - low + 1)), line);
    }
    const double u = stream.uniform();
    const double value = source.logarithmic ? std::exp(std::log(source.low) + u * (std::log(source.high) - std::log(source.low)))
                                            : source.low + u * (source.high - source.low);
    std::string text = rounded_text(value, source.whole);
    const std::optional<double> rounded = parse_number(text);
    if (rounded && *rounded < source.low) text = source.low_node->text;  // rounding must not leave the range
    if (rounded && *rounded > source.high) text = source.high_node->text;
    return Node::scalar(std::move(text), line);
  }

  void add_rows(const Layer& knobs, const std::vector<Source>& sources, int count, int seed, int line) {
    std::vector<RandomStream> streams;
    for (const Assignment& knob : knobs) streams.emplace_back(seed, knob.path);
    Dimension rows;
    std::set<std::string> seen;
    for (int row = 0; row < count; ++row) {
      Choice choice;
      choice.line = line;
      std::string text;
      for (std::size_t i = 0; i < knobs.size(); ++i) {
        Assignment assignment{knobs[i].path, draw(sources[i], streams[i], knobs[i].line), knobs[i].line, knobs[i].file, false};
        text += to_text(assignment.value) + '\n';
        choice.settings.push_back(std::move(assignment));
      }
      if (seen.insert(text).second) rows.push_back(std::move(choice));
    }
    const std::size_t repeats = static_cast<std::size_t>(count) - rows.size();
    if (repeats > 0) {
      experiment_.warnings.push_back({experiment_.name + ".sample", line,
                                      std::to_string(repeats) + " of " + std::to_string(count) +
                                          " rows repeat an earlier one and are left out; widen a range or lower the count"});
    }
    experiment_.dimensions.push_back(std::move(rows));
  }

  const LayerReader& layers_;
  ExperimentDef& experiment_;
  std::vector<Problem>& problems_;
};

}  // namespace

void read_sample(const Node* node, const LayerReader& layers, ExperimentDef& experiment, std::vector<Problem>& problems) {
  if (node) SampleReader(layers, experiment, problems).read(*node);
}

}  // namespace moelab::core
