#include "core/experiment_reader.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "core/axis_reader.h"
#include "core/field_io.h"
#include "core/map_reader.h"
#include "core/nearest_name.h"
#include "core/sample_reader.h"

namespace moelab::core {
namespace {

class ExperimentReader {
 public:
  ExperimentReader(const Node& node, const LayerReader& layers, const std::vector<std::string>& profile_names,
                   std::vector<Problem>& problems)
      : node_(node), layers_(layers), profile_names_(profile_names), problems_(problems) {}

  ExperimentDef read() {
    experiment_.line = node_.line;
    const Node* name = node_.find("name");
    experiment_.name = name && name->is_scalar() ? name->text : "";
    MapReader reader(node_, (experiment_.name.empty() ? "experiments" : experiment_.name) + ".", problems_);
    if (!node_.is_map()) return experiment_;
    read_header(reader);
    read_settings(reader);
    read_variants(reader.find("variants"));
    const AxisReader axes(layers_, problems_);
    axes.read_matrix(reader.find("matrix"), experiment_);
    axes.read_zip(reader.find("zip"), experiment_);
    axes.read_sweep(reader.find("sweep"), experiment_);
    read_sample(reader.find("sample"), layers_, experiment_, problems_);
    axes.read_seeds(reader.find("seeds"), experiment_);
    read_include(reader);
    read_exclude(reader);
    reader.report_unknown();
    return std::move(experiment_);
  }

 private:
  void read_header(MapReader& reader) {
    reader.text("name");
    if (experiment_.name.empty()) {
      problems_.push_back({"experiments", node_.line, "an experiment has no name; give it `name: ...`"});
    } else {
      check_name(experiment_.name, experiment_.name + ".name", reader.line_of("name"), problems_);
    }
    experiment_.baseline = reader.text("baseline");
    experiment_.baseline_line = reader.line_of("baseline");
    experiment_.notes = reader.text("notes");
    experiment_.tags = reader.texts("tags");
    experiment_.depends_on = read_references(reader, experiment_.name + ".depends_on");
    if (const Node* rule = reader.find("prune")) experiment_.prune = read_prune_rule(*rule, experiment_.name, problems_);
    experiment_.priority = reader.integer("priority", -1000, 1000).value_or(0);
    experiment_.max_concurrent = reader.integer("max_concurrent", 0, 100'000).value_or(0);
  }

  static std::vector<Reference> read_references(MapReader& reader, const std::string& path) {
    std::vector<Reference> references;
    const int line = reader.line_of("depends_on");
    for (std::string& name : reader.texts("depends_on")) references.push_back({std::move(name), path, line});
    return references;
  }

  void read_settings(MapReader& reader) {
    if (const Node* defaults = reader.find("defaults")) experiment_.settings = layers_.read(*defaults, experiment_.name + ".defaults");
    for (const char* group : {"resources", "checkpoint", "early_stop"}) {
      const Node* knobs = reader.find(group);
      if (!knobs) continue;
      Node wrapped;
      wrapped.kind = Node::Kind::map;
      wrapped.entries.push_back({group, reader.line_of(group), *knobs});
      const Layer layer = layers_.read(wrapped, "");
      experiment_.settings.insert(experiment_.settings.end(), layer.begin(), layer.end());
    }
    experiment_.profiles = read_profiles(reader.find("profiles"), experiment_.name + ".profiles", layers_, profile_names_, problems_);
  }

  // A variant: notes, tags, depends_on and profiles beside its knobs.
  Choice read_choice(const Node& node, const std::string& prefix, bool may_have_name) {
    Choice choice;
    choice.line = node.line;
    if (node.is_null()) return choice;
    MapReader reader(node, prefix + ".", problems_);
    if (!node.is_map()) return choice;
    if (may_have_name) choice.label = reader.text("name");
    choice.notes = reader.text("notes");
    choice.tags = reader.texts("tags");
    choice.depends_on = read_references(reader, prefix + ".depends_on");
    choice.profiles = read_profiles(reader.find("profiles"), prefix + ".profiles", layers_, profile_names_, problems_);
    choice.settings = layers_.read(without_slips(reader.rest(), prefix), prefix);
    return choice;
  }

  // A misspelt reserved key is no knob, and its nearest name is no knob either.
  Node without_slips(Node knobs, const std::string& prefix) {
    static const std::vector<std::string> kReserved{"notes", "tags", "depends_on", "profiles"};
    std::erase_if(knobs.entries, [&](const NodeEntry& entry) {
      const bool slip = !is_field(entry.key) && !nearest_name(entry.key, kReserved).empty();
      if (slip) problems_.push_back({prefix + '.' + entry.key, entry.line, "unknown key" + did_you_mean(entry.key, kReserved)});
      return slip;
    });
    return knobs;
  }

  void read_variants(const Node* node) {
    if (!node) return;
    if (!node->is_map() || node->entries.empty()) {
      problems_.push_back(
          {experiment_.name + ".variants", node->line, "must be a map of run names, each with its knobs, not " + describe(*node)});
      return;
    }
    Dimension variants;
    for (const NodeEntry& entry : node->entries) {
      check_name(entry.key, experiment_.name + ".variants." + entry.key, entry.line, problems_);
      Choice choice = read_choice(entry.value, experiment_.name + ".variants." + entry.key, false);
      choice.label = entry.key;
      choice.line = entry.line;
      variants.push_back(std::move(choice));
    }
    experiment_.dimensions.push_back(std::move(variants));
  }

  // Calls visit(item, path) for each item of the list under `key`.
  template <class Visit>
  void each_item(MapReader& reader, const std::string& key, Visit&& visit) {
    const Node* node = reader.find(key);
    if (!node) return;
    if (!node->is_list()) {
      reader.report(key, "must be a list of maps, such as [{moe.capacity_factor: 2.0}], not " + describe(*node));
      return;
    }
    for (std::size_t i = 0; i < node->items.size(); ++i) {
      visit(node->items[i], experiment_.name + '.' + key + '[' + std::to_string(i) + ']');
    }
  }

  void read_include(MapReader& reader) {
    each_item(reader, "include", [&](const Node& item, const std::string& path) {
      Choice choice = read_choice(item, path, true);
      if (!choice.label.empty()) check_name(choice.label, path + ".name", item.line, problems_);
      if (item.entries.empty()) {
        problems_.push_back({path, item.line, "adds no run: give it a name or at least one knob"});
      } else {
        experiment_.include.push_back(std::move(choice));
      }
    });
  }

  void read_exclude(MapReader& reader) {
    each_item(reader, "exclude", [&](const Node& item, const std::string& path) {
      const Layer layer = layers_.read(item, path);
      for (const Assignment& assignment : layer) {
        if (is_varied(assignment.path)) continue;
        problems_.push_back({path + '.' + assignment.path, assignment.line, "is not varied by this experiment, so it excludes nothing"});
        return;
      }
      if (!layer.empty()) experiment_.exclude.push_back(layer);
    });
  }

  bool is_varied(const std::string& path) const {
    const auto sets_path = [&](const Choice& choice) {
      return std::any_of(choice.settings.begin(), choice.settings.end(), [&](const Assignment& a) { return a.path == path; });
    };
    const auto varies = [&](const Dimension& dimension) { return std::any_of(dimension.begin(), dimension.end(), sets_path); };
    return varies(experiment_.seeds) || std::any_of(experiment_.dimensions.begin(), experiment_.dimensions.end(), varies);
  }

  const Node& node_;
  const LayerReader& layers_;
  const std::vector<std::string>& profile_names_;
  std::vector<Problem>& problems_;
  ExperimentDef experiment_;
};

}  // namespace

ExperimentDef read_experiment(const Node& node, const LayerReader& layers, const std::vector<std::string>& profile_names,
                              std::vector<Problem>& problems) {
  return ExperimentReader(node, layers, profile_names, problems).read();
}

ProfileLayers read_profiles(const Node* node, const std::string& prefix, const LayerReader& layers,
                            const std::vector<std::string>& profile_names, std::vector<Problem>& problems) {
  ProfileLayers profiles;
  if (!node) return profiles;
  if (!node->is_map()) {
    problems.push_back({prefix, node->line, "must be a map of profile names, each with its knobs, not " + describe(*node)});
    return profiles;
  }
  for (const NodeEntry& entry : node->entries) {
    const std::string path = prefix + '.' + entry.key;
    if (!check_name(entry.key, path, entry.line, problems)) continue;
    if (!profile_names.empty() && std::find(profile_names.begin(), profile_names.end(), entry.key) == profile_names.end()) {
      problems.push_back({path, entry.line, "unknown profile" + did_you_mean(entry.key, profile_names)});
    }
    profiles[entry.key] = layers.read(entry.value, path);
  }
  return profiles;
}

bool check_name(const std::string& name, const std::string& path, int line, std::vector<Problem>& problems) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_.=,+@-").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!name.empty() && name.size() <= 120 && std::all_of(name.begin(), name.end(), allowed)) return true;
  problems.push_back({path, line, "a name has 1 to 120 letters, digits or characters of _ . = , + @ -"});
  return false;
}

}  // namespace moelab::core
