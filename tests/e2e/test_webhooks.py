"""Webhooks of the real daemon: signatures checked by Python's own hmac, a daemon killed with -9, TLS, refusals."""

import hashlib
import hmac
import json
import signal
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import wait_for

SECRET = "a-secret-for-these-tests"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Receiver:
    """Keeps every call. `status` is what it answers."""

    def __init__(self, port=0, tls=None):
        self.calls = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append((dict(self.headers), body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self):
        return [json.loads(body) for _, body in self.calls]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def check_signature(headers, body, secret=SECRET):
    timestamp = headers["X-Moelab-Timestamp"]
    assert abs(time.time() - int(timestamp)) < 600
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(headers["X-Moelab-Signature"], "sha256=" + expected)


def add(lab, url, *args):
    return lab.json("webhook", "add", url, "--secret", SECRET, *args)["id"]


def test_a_matrix_is_told_with_signatures_that_hold(lab, receiver):
    lab.serve("--webhook-private", "--log-format", "json", "--cpu-slots", "1")
    hook = add(lab, f"http://127.0.0.1:{receiver.port}/hook", "--events", "starting,completed")
    lab.ok("submit", "small.yaml")
    lab.ok("wait", "--all")
    wait_for(lambda: len(receiver.calls) == 6, "six calls")
    for headers, body in receiver.calls:
        check_signature(headers, body)
        assert headers["X-Moelab-Event"] == "run_state"
    runs = lab.runs()
    told = {(body["run"]["name"], body["run"]["state"]): body for body in receiver.bodies()}
    assert len(told) == 6
    for name, run in runs.items():
        completed = told[name, "completed"]["run"]
        assert completed["id"] == run["id"] and completed["experiment"] == "balance"
        assert completed["attempt"] == 1 and completed["step"] == 40 and completed["from"] == "running"
        assert completed["metrics"] == {"eval/loss": run["metrics"]["eval/loss"]}
        assert told[name, "starting"]["run"]["device"] == "cpu0"
        assert told[name, "starting"]["time"] < told[name, "completed"]["time"]
    assert len({body["event_id"] for body in receiver.bodies()}) == 6
    assert all(delivery["result"] == "delivered" for delivery in lab.json("webhook", "deliveries", hook)["deliveries"])

    lab.stop()
    changes = [line for line in map(json.loads, filter(lambda text: text.startswith("{"), (lab.folder / "daemon.log").read_text().splitlines()))
               if "state" in line and "run" in line and "code" not in line]
    for name, run in runs.items():
        assert [line["state"] for line in changes if line["run"] == run["id"]] == ["queued", "starting", "running", "completed"]
    assert {(line["attempt"], line["device"]) for line in changes if line["state"] == "starting"} == {(1, "cpu0")}


def test_what_happened_before_a_kill_is_told_after_it(lab):
    port = free_port()
    lab.serve("--webhook-private", "--cpu-slots", "1")
    hook = add(lab, f"http://127.0.0.1:{port}/hook", "--events", "queued,cancelled")
    lab.ok("submit", "small.yaml", "--only", "none", "--only", "penalty")
    lab.ok("cancel", "none", "penalty")
    wait_for(lambda: all(run["state"] == "cancelled" for run in lab.runs().values()), "the runs to end")
    waiting = lambda: [delivery for delivery in lab.json("webhook", "deliveries", hook)["deliveries"] if delivery["attempts"] > 0]
    wait_for(waiting, "a call that finds nobody")
    ids = {delivery["event_id"] for delivery in lab.json("webhook", "deliveries", hook)["deliveries"]}
    lab.daemon.send_signal(signal.SIGKILL)
    lab.daemon.wait(30)
    receiver = Receiver(port)
    try:
        lab.serve("--webhook-private", "--cpu-slots", "1")
        wait_for(lambda: lab.json("webhook", "ls")["webhooks"][0]["pending"] == 0, "all to be delivered")
        bodies = receiver.bodies()
        for headers, body in receiver.calls:
            check_signature(headers, body)
        assert ids <= {body["event_id"] for body in bodies}
        told = {(body["run"]["name"], body["run"]["state"]) for body in bodies}
        assert told == {(name, state) for name in ("none", "penalty") for state in ("queued", "cancelled")}
    finally:
        receiver.close()


def test_calls_over_tls_need_a_certificate_of_a_known_authority(lab):
    key, certificate = lab.folder / "key.pem", lab.folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    receiver = Receiver(tls=(certificate, key))
    try:
        lab.env["SSL_CERT_FILE"] = str(certificate)
        lab.serve("--webhook-private")
        known = add(lab, f"https://localhost:{receiver.port}/")
        assert lab.ok("webhook", "test", known).strip() == "delivered"
        check_signature(*receiver.calls[0])
        other_name = add(lab, f"https://127.0.0.1:{receiver.port}/")
        done = lab.run("webhook", "test", other_name)
        assert done.returncode == 1 and "certificate" in done.stdout, done
        lab.stop()
        del lab.env["SSL_CERT_FILE"]
        lab.env.pop("SSL_CERT_DIR", None)
        lab.serve("--webhook-private")
        done = lab.run("webhook", "test", known)
        assert done.returncode == 1 and "certificate" in done.stdout, done
        assert len(receiver.calls) == 1
    finally:
        receiver.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "0.0.0.0", "localhost"])
def test_private_addresses_are_refused(lab, host):
    lab.serve()
    done = lab.run("webhook", "add", f"http://{host}/hook")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "--webhook-private" in done.stderr, done.stderr
    assert lab.json("webhook", "ls")["webhooks"] == []


def test_the_command_line_of_webhooks(lab, receiver):
    lab.serve("--webhook-private")
    assert "There are no webhooks" in lab.ok("webhook", "ls")
    added = lab.ok("webhook", "add", f"http://127.0.0.1:{receiver.port}/", "--experiment", "balance")
    secret = added.strip().splitlines()[-1].split()[-1]
    assert len(secret) == 64
    assert lab.ok("webhook", "test", "1").strip() == "delivered"
    check_signature(*receiver.calls[0], secret=secret)
    receiver.status = 500
    failed = lab.run("webhook", "test", "1")
    assert failed.returncode == 1 and failed.stdout.strip() == "given_up: the receiver answered 500"
    assert secret not in lab.ok("webhook", "ls") + lab.ok("webhook", "ls", "--json") + lab.ok("webhook", "deliveries", "1", "--json")
    assert "answered 500" in lab.ok("webhook", "deliveries", "1")
    assert "disabled" in lab.ok("webhook", "disable", "1")
    assert lab.json("webhook", "ls")["webhooks"][0]["enabled"] is False
    assert "enabled" in lab.ok("webhook", "enable", "1")
    for words, sentence in [(("add", "ftp://x"), "the scheme 'ftp'"), (("add", "http://x", "--events", "compleated"), "did you mean 'completed'"),
                            (("add", "http://x", "--secret", "short"), "secret: it must have 16"), (("test", "7"), "there is no webhook 7"),
                            (("rm", "x"), "x")]:
        done = lab.run("webhook", *words)
        assert done.returncode in (2, 4) and sentence in done.stderr and "internal" not in done.stderr, done
    assert "removed" in lab.ok("webhook", "rm", "1")
    assert lab.run("webhook", "rm", "1").returncode == 4


def test_alerts_are_stored_and_shown(lab):
    """A worker's alert is written into a journal by hand, as one would be on a real anomaly."""
    lab.serve("--cpu-slots", "1")
    lab.ok("submit", "small.yaml", "--only", "none")
    lab.ok("wait", "--all")
    run = lab.json("show", "none")
    assert run["alerts"] == []
    lab.stop()
    journal = lab.home / f"runs/{run['id']}/events.jsonl"
    last = json.loads(journal.read_text().splitlines()[-1])
    alert = {**{key: last[key] for key in ("v", "attempt", "step", "time")}, "seq": last["seq"] + 1, "type": "alert", "code": "loss_spike",
             "message": "loss 9 is far off"}
    with journal.open("a") as file:
        file.write(json.dumps(alert) + "\n")
    lab.ok("db", "rebuild")
    lab.serve("--cpu-slots", "1")
    assert [(found["code"], found["message"], found["step"]) for found in lab.json("show", "none")["alerts"]] == [
        ("loss_spike", "loss 9 is far off", last["step"])]
    assert "loss_spike" in lab.ok("show", "none")
