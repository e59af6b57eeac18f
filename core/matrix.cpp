#include "core/matrix.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "core/experiment_reader.h"
#include "core/layer_reader.h"
#include "core/map_reader.h"
#include "core/yaml_document.h"

namespace moelab::core {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& file, const std::string& asked_by, int line) {
  std::ifstream stream(file, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(stream), {});
  if (!stream.is_open() || stream.bad() || fs::is_directory(file)) {
    throw Error(ErrorKind::data, asked_by,
                {{"extends", line, "cannot read " + file.string() + "; correct the path, which starts at this file's directory"}});
  }
  return text;
}

void append(Layer& layer, Layer more) {
  layer.insert(layer.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

class FileReader {
 public:
  // `chain` holds the files that led here, this one last.
  FileReader(std::string source_name, fs::path base_dir, std::vector<fs::path> chain, std::vector<Problem>& problems)
      : source_name_(std::move(source_name)),
        base_dir_(std::move(base_dir)),
        chain_(std::move(chain)),
        problems_(problems),
        layers_(base_dir_, chain_.size() > 1 ? source_name_ : "", problems) {}

  // A base file gives its defaults and profiles only; its experiments are its own.
  MatrixFile read(const std::string& text, bool is_base) {
    const Node root = parse_yaml(text, source_name_, problems_);
    MapReader reader(root, "", problems_);
    if (!root.is_map()) return {};
    MatrixFile file;
    read_version(reader);
    file.name = reader.text("name");
    if (!file.name.empty()) check_name(file.name, "name", reader.line_of("name"), problems_);
    if (file.name.empty() && !is_base) reader.report("name", "is missing; name the study, e.g. `name: moe-ablations`");
    read_base(reader, file);
    if (const Node* defaults = reader.find("defaults")) append(file.defaults, layers_.read(*defaults, "defaults"));
    for (auto& [name, layer] : read_profiles(reader.find("profiles"), "profiles", layers_, {}, problems_)) {
      append(file.profiles[name], std::move(layer));
    }
    read_experiments(reader, file, is_base);
    reader.report_unknown();
    return file;
  }

 private:
  void read_version(MapReader& reader) {
    const Node* version = reader.find("version");
    if (!version) {
      reader.report("version", "is missing; write `version: 1` at the top of the file");
    } else if (version->text != "1") {
      reader.report("version", "only version 1 of the format is known, not " + describe(*version));
    }
  }

  void read_base(MapReader& reader, MatrixFile& file) {
    const std::string name = reader.text("extends");
    if (name.empty()) return;
    const fs::path path = (base_dir_ / name).lexically_normal();
    const fs::path identity = fs::weakly_canonical(path);
    if (std::find(chain_.begin(), chain_.end(), identity) != chain_.end()) {
      reader.report("extends", "leads back to " + path.string() + "; a file cannot extend itself");
      return;
    }
    std::vector<fs::path> chain = chain_;
    chain.push_back(identity);
    std::vector<Problem> problems;
    const std::string text = read_text(path, source_name_, reader.line_of("extends"));
    MatrixFile base = FileReader(path.string(), path.parent_path(), std::move(chain), problems).read(text, true);
    // Problems carry one file name, and this file stands on that one: it is to be put right first.
    if (!problems.empty()) throw Error(ErrorKind::config, path.string(), std::move(problems));
    file.defaults = std::move(base.defaults);
    file.profiles = std::move(base.profiles);
  }

  void read_experiments(MapReader& reader, MatrixFile& file, bool is_base) {
    const Node* list = reader.find("experiments");
    if (is_base) return;
    if (!list || !list->is_list() || list->items.empty()) {
      reader.report("experiments", "must be a list of at least one experiment, such as `- name: first`");
      return;
    }
    std::vector<std::string> profile_names;
    for (const auto& entry : file.profiles) profile_names.push_back(entry.first);
    for (const Node& item : list->items) {
      ExperimentDef experiment = read_experiment(item, layers_, profile_names, problems_);
      for (const ExperimentDef& earlier : file.experiments) {
        if (experiment.name.empty() || earlier.name != experiment.name) continue;
        problems_.push_back(
            {experiment.name, experiment.line, "two experiments have this name, the first in line " + std::to_string(earlier.line)});
      }
      file.experiments.push_back(std::move(experiment));
    }
  }

  std::string source_name_;
  fs::path base_dir_;
  std::vector<fs::path> chain_;
  std::vector<Problem>& problems_;
  LayerReader layers_;
};

}  // namespace

MatrixFile read_matrix(const std::string& text, const std::string& source_name, const fs::path& base_dir, std::vector<Problem>& problems) {
  const fs::path identity = fs::weakly_canonical(base_dir / fs::path(source_name).filename());
  return FileReader(source_name, base_dir, {identity}, problems).read(text, false);
}

}  // namespace moelab::core
