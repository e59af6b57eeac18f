#include "server/http/json_codec.h"

#include "core/json_number.h"

namespace moelab::server::http {

namespace {

using nlohmann::json;

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json or_null(const OptionalTime& time) {
  return time ? json(core::to_rfc3339(*time)) : json(nullptr);
}
json text_or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}
json positive_or_null(std::int64_t value) {
  return value > 0 ? json(value) : json(nullptr);
}
json number_or_null(const std::optional<double>& value) {
  return value ? core::number_to_json(*value) : json(nullptr);
}

json numbers(const std::map<std::string, double>& values) {
  json object = json::object();
  for (const auto& [name, value] : values) object[name] = core::number_to_json(value);
  return object;
}

json knobs(const KnobValues& values) {
  json object = json::object();
  for (const auto& [path, value] : values) object[path] = value;
  return object;
}

template <class T, class Codec>
json array_of(const std::vector<T>& items, Codec&& codec) {
  json array = json::array();
  for (const T& item : items) array.push_back(codec(item));
  return array;
}

json alias_json(const AliasView& alias) {
  return {{"experiment_id", alias.experiment_id}, {"experiment", alias.experiment}, {"name", alias.name}};
}

json phase_json(const PhaseView& phase) {
  return {{"name", phase.name}, {"done", phase.done}, {"total", phase.total}};
}

json result_row_json(const ResultRow& row) {
  return {{"name", row.name},
          {"run_id", row.run_id},
          {"state", core::to_string(row.state)},
          {"seed", row.seed},
          {"is_baseline", row.is_baseline},
          {"values", numbers(row.values)},
          {"delta", number_or_null(row.delta)},
          {"delta_pct", number_or_null(row.delta_pct)},
          {"runtime_s", row.runtime_s},
          {"total_parameters", row.total_parameters},
          {"active_parameters", row.active_parameters},
          {"varied", knobs(row.varied)}};
}

json series_json(const SeriesView& series) {
  const core::MetricInfo* info = core::find_metric(series.key);
  json points = json::array();
  for (const auto& [step, value] : series.points) points.push_back({step, core::number_to_json(value)});
  return {{"key", series.key},
          {"unit", info ? info->unit : ""},
          {"direction", core::to_string(info ? info->direction : core::Direction::none)},
          {"title", core::metric_title(series.key)},
          {"points", std::move(points)},
          {"total_points", series.total_points}};
}

json process_json(const DeviceProcessView& process) {
  return {{"pid", process.pid},
          {"user", process.user},
          {"command", process.command},
          {"memory_mb", or_null(process.memory_mb)},
          {"own", process.own}};
}

json device_run_json(const DeviceRunView& run) {
  return {{"id", run.id}, {"name", run.name}};
}

json metric_json(const core::MetricInfo& metric) {
  return {{"name", metric.name},   {"unit", metric.unit},   {"direction", core::to_string(metric.direction)},
          {"title", metric.title}, {"group", metric.group}, {"doc", metric.doc}};
}

}  // namespace

json to_json(const RunView& run) {
  return {{"id", run.id},
          {"name", run.name},
          {"aliases", array_of(run.aliases, alias_json)},
          {"experiment", run.experiment},
          {"experiment_id", or_null(run.experiment_id)},
          {"matrix", run.matrix},
          {"key", run.key},
          {"state", core::to_string(run.state)},
          {"reason", run.reason},
          {"waiting", run.waiting},
          {"exit_code", or_null(run.exit_code)},
          {"signal", or_null(run.signal)},
          {"attempt", run.attempt},
          {"restarts", run.restarts},
          {"step", run.step},
          {"max_steps", positive_or_null(run.max_steps)},
          {"progress", run.progress},
          {"eta_s", or_null(run.eta_s)},
          {"phase", run.phase ? phase_json(*run.phase) : json(nullptr)},
          {"metrics", numbers(run.metrics)},
          {"device", text_or_null(run.device)},
          {"pid", or_null(run.pid)},
          {"priority", run.priority},
          {"archived", run.archived},
          {"baseline", text_or_null(run.baseline)},
          {"is_baseline", run.is_baseline},
          {"tags", run.tags},
          {"seed", run.seed},
          {"total_parameters", run.total_parameters},
          {"active_parameters", run.active_parameters},
          {"flops_per_token", run.flops_per_token},
          {"tokens", positive_or_null(static_cast<std::int64_t>(run.tokens))},
          {"queued_at", or_null(run.queued_at)},
          {"started_at", or_null(run.started_at)},
          {"finished_at", or_null(run.finished_at)},
          {"runtime_s", run.runtime_s},
          {"varied", knobs(run.varied)}};
}

json to_json(const std::vector<RunView>& runs) {
  return array_of(runs, [](const RunView& run) { return to_json(run); });
}

json to_json(const RunDetail& detail) {
  json object = to_json(detail.run);
  object["config"] = detail.config;
  object["notes"] = detail.notes;
  object["run_dir"] = detail.run_dir;
  object["events"] = array_of(detail.events, [](const RunEventView& event) {
    return json{{"time", core::to_rfc3339(event.time)}, {"from", text_or_null(event.from)}, {"to", event.to}, {"reason", event.reason}};
  });
  object["alerts"] = array_of(detail.alerts, [](const AlertView& alert) {
    return json{{"time", core::to_rfc3339(alert.time)},
                {"attempt", alert.attempt},
                {"step", alert.step},
                {"code", alert.code},
                {"message", alert.message}};
  });
  object["artifacts"] = array_of(detail.artifacts, [](const ArtifactView& artifact) {
    return json{{"name", artifact.name}, {"kind", artifact.kind}, {"path", artifact.path}, {"bytes", artifact.bytes}};
  });
  object["checkpoints"] = array_of(detail.checkpoints, [](const CheckpointView& checkpoint) {
    return json{{"step", checkpoint.step}, {"path", checkpoint.path}, {"best", checkpoint.best}};
  });
  object["provenance"] = detail.provenance.is_object() ? detail.provenance : json::object();
  return object;
}

json to_json(const RunPage& page) {
  return {{"runs", to_json(page.runs)}, {"total", page.total}, {"next_cursor", or_null(page.next_cursor)}};
}

json to_json(const VerbResult& result) {
  return {{"runs", to_json(result.runs)}, {"skipped", array_of(result.skipped, [](const VerbResult::Skipped& skipped) {
                                             return json{{"id", skipped.id}, {"reason", skipped.reason}};
                                           })}};
}

json to_json(const QueueView& queue) {
  return {{"mode", to_string(queue.mode.kind)},
          {"reason", queue.mode.reason},
          {"since", or_null(queue.mode.since)},
          {"total", queue.total},
          {"live", queue.live},
          {"runs", to_json(queue.runs)}};
}

json to_json(const ExperimentView& experiment) {
  return {{"id", experiment.id},
          {"name", experiment.name},
          {"matrix", experiment.matrix},
          {"profile", experiment.profile},
          {"notes", experiment.notes},
          {"tags", experiment.tags},
          {"baseline", text_or_null(experiment.baseline)},
          {"created_at", core::to_rfc3339(experiment.created_at)},
          {"state", experiment.state},
          {"progress", experiment.progress},
          {"counts", experiment.counts},
          {"total", experiment.total},
          {"archived", experiment.archived},
          {"eta_s", or_null(experiment.eta_s)}};
}

json experiment_detail_json(const ExperimentView& experiment) {
  json object = to_json(experiment);
  object["source"] = experiment.source;
  return object;
}

json to_json(const std::vector<ExperimentView>& experiments) {
  return array_of(experiments, [](const ExperimentView& experiment) { return to_json(experiment); });
}

json to_json(const ResultTable& table) {
  return {{"baseline", text_or_null(table.baseline)}, {"metric", table.metric}, {"rows", array_of(table.rows, result_row_json)}};
}

json to_json(const SubmitResult& result) {
  return {
      {"experiments", to_json(result.experiments)}, {"created", result.created}, {"reused", result.reused}, {"runs", to_json(result.runs)}};
}

json to_json(const std::vector<SeriesView>& series) {
  return {{"series", array_of(series, series_json)}};
}

json to_json(const DeviceView& device) {
  return {{"id", device.id},
          {"kind", device.kind},
          {"name", device.name},
          {"index", device.index},
          {"uuid", device.uuid},
          {"threads", device.threads},
          {"cpus", device.cpus},
          {"memory_total_mb", or_null(device.memory_total_mb)},
          {"memory_used_mb", or_null(device.memory_used_mb)},
          {"utilization_pct", or_null(device.utilization_pct)},
          {"temperature_c", or_null(device.temperature_c)},
          {"power_w", or_null(device.power_w)},
          {"state", device.state},
          {"note", device.note},
          {"run", device.runs.empty() ? json(nullptr) : device_run_json(device.runs.front())},
          {"runs", array_of(device.runs, device_run_json)},
          {"since", or_null(device.since)},
          {"processes", array_of(device.processes, process_json)}};
}

json to_json(const DevicesView& devices) {
  return {{"inventory", devices.inventory}, {"note", devices.note}, {"devices", array_of(devices.devices, [](const DeviceView& device) { return to_json(device); })}};
}

json to_json(const HealthView& health) {
  return {
      {"status", "ok"},      {"version", health.version}, {"uptime_s", health.uptime_s},
      {"home", health.home}, {"runs", health.runs},       {"devices", {{"total", health.devices_total}, {"free", health.devices_free}}}};
}

json to_json(const std::vector<core::MetricInfo>& catalog) {
  return {{"metrics", array_of(catalog, metric_json)}};
}

}  // namespace moelab::server::http
