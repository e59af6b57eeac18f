"""What the daemon tells other programs: metrics for Prometheus, a log of JSON lines."""

import json
import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def scrape(lab):
    """{family: {sorted labels: value}} of GET /metrics, read by Prometheus' own parser."""
    text = lab.get("/metrics").decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type in ("gauge", "counter", "histogram"), family
        for sample in family.samples:
            values = found.setdefault(sample.name, {})
            key = tuple(sorted(sample.labels.items()))
            assert key not in values, f"{sample} is there twice"
            values[key] = sample.value
    return found


def by_label(samples, label):
    return {dict(key)[label]: value for key, value in samples.items()}


def test_metrics_are_what_rest_says(lab):
    lab.serve("--cpu-slots", "1")
    before = scrape(lab)
    assert before["moelab_queue_length"] == {(): 0}
    assert before["moelab_run_tokens_per_second"] == {(): 0}
    lab.ok("submit", "small.yaml")
    lab.ok("wait", "--all")
    after = scrape(lab)
    health = json.loads(lab.get("/api/v1/health"))
    states = by_label(after["moelab_runs"], "state")
    assert states == {state: health["runs"].get(state, 0) for state in states}
    assert states["completed"] == 3
    devices = json.loads(lab.get("/api/v1/devices"))["devices"]
    for (kind, state), count in {(dict(key)["kind"], dict(key)["state"]): value for key, value in after["moelab_devices"].items()}.items():
        assert count == sum(1 for device in devices if (device["kind"], device["state"]) == (kind, state))
    assert by_label(after["moelab_build_info"], "version") == {health["version"]: 1}
    journals = list(lab.home.glob("runs/*/events.jsonl"))
    assert after["moelab_ingest_events_total"][()] == sum(len(journal.read_text().splitlines()) for journal in journals)
    assert after["moelab_ingest_bytes_total"][()] == sum(journal.stat().st_size for journal in journals)
    assert after["moelab_scheduler_tick_seconds_count"][()] > before["moelab_scheduler_tick_seconds_count"][()]
    assert not any("run" in dict(key) for samples in after.values() for key in samples), "a label names a run"


def test_metrics_have_the_content_type_of_their_format(lab):
    lab.serve("--host", "127.0.0.1")  # without a token, in a container too
    with urllib.request.urlopen(lab.url() + "/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_a_json_log_is_one_object_a_line(lab):
    lab.serve("--log-format", "json", "--cpu-slots", "1")
    lab.ok("submit", "small.yaml", "--only", "none")
    lab.ok("wait", "--all")
    lab.stop()
    lines = [json.loads(line) for line in (lab.folder / "daemon.log").read_text().splitlines() if line.startswith("{")]
    assert lines
    for line in lines:
        assert {"time", "level", "message"} <= set(line), line


def test_an_unknown_log_format_is_refused(lab):
    done = lab.run("serve", "--log-format", "xml")
    assert done.returncode == 2
    assert "--log-format" in done.stderr and "xml" in done.stderr
