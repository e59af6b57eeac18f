// The front itself: streams, access, static files, ports.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "core/error.h"
#include "tests/server/http_fixture.h"

using namespace moelab;
using namespace moelab::test;
using nlohmann::json;

namespace {

// Reads an event stream on a thread of its own until the test has seen enough.
class StreamReader {
 public:
  StreamReader(const Served& daemon, const std::string& path)
      : client_(daemon.client()), thread_([this, path] {
          const auto result = client_.Get(
              path,
              [this](const httplib::Response& response) {
                status_ = response.status;
                return true;
              },
              [this](const char* data, std::size_t size) {
                const std::lock_guard lock(mutex_);
                text_.append(data, size);
                return !leave_;
              });
          ended_ = true;
        }) {}
  ~StreamReader() {
    leave_ = true;
    client_.stop();
    thread_.join();
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  bool shows(const std::string& wanted) {
    return eventually([&] { return text().find(wanted) != std::string::npos; });
  }
  bool ends() {
    return eventually([&] { return ended_.load(); });
  }
  int status() const { return status_; }

 private:
  httplib::Client client_;
  std::mutex mutex_;
  std::string text_;
  std::atomic<int> status_{0};
  std::atomic<bool> leave_{false}, ended_{false};
  std::thread thread_;
};

// All that the server sends in return for these bytes.
std::string raw_answer(int port, const std::string& request) {
  const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(connection >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::send(connection, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(connection, buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, static_cast<std::size_t>(got));
  ::close(connection);
  return answer;
}

// The JSON of the last `event` in an event stream.
json last_data(const std::string& text, const std::string& event) {
  const std::string head = "event: " + event + "\ndata: ";
  const std::size_t begin = text.rfind(head);
  REQUIRE(begin != std::string::npos);
  const std::size_t end = text.find('\n', begin + head.size());
  return json::parse(text.substr(begin + head.size(), end - begin - head.size()));
}

}  // namespace

TEST_CASE("the event stream carries the present view of what changed") {
  const Served daemon;
  StreamReader reader(daemon, "/api/v1/stream");
  REQUIRE(reader.shows(": connected"));
  const json submitted = daemon.submit();
  REQUIRE(reader.shows("\"name\":\"bias\""));
  REQUIRE(reader.shows("event: experiment"));
  const std::string id = submitted.at("runs").at(0).at("id").dump();
  daemon.post("/api/v1/runs/" + id + "/cancel", json::object());
  REQUIRE(reader.shows("\"state\":\"cancelled\""));
  const json run = last_data(reader.text(), "run");
  const json detail = daemon.get("/api/v1/runs/" + run.at("id").dump());
  for (const auto& [name, value] : run.items()) CHECK_MESSAGE(detail.at(name) == value, name);
}

TEST_CASE("devices are announced and the stream ends with the daemon") {
  Served daemon;
  StreamReader reader(daemon, "/api/v1/stream");
  REQUIRE(reader.shows(": connected"));
  daemon.home.bus.devices_changed();
  REQUIRE(reader.shows("event: devices"));
  CHECK(last_data(reader.text(), "devices") == daemon.get("/api/v1/devices"));
  daemon.home.bus.close();
  CHECK(reader.ends());
}

TEST_CASE("closing the server ends a waiting stream by itself") {
  Served daemon;
  StreamReader reader(daemon, "/api/v1/stream");
  REQUIRE(reader.shows(": connected"));
  daemon.server.reset();
  CHECK(reader.ends());
}

TEST_CASE("there are places for so many streams, and one that is left is free again") {
  const Served daemon;
  std::vector<std::unique_ptr<StreamReader>> readers;
  for (int i = 0; i < server::http::kMaxStreams; ++i) readers.push_back(std::make_unique<StreamReader>(daemon, "/api/v1/stream"));
  for (const auto& reader : readers) REQUIRE(reader->shows(": connected"));
  CHECK(daemon.get("/api/v1/stream", 503).at("error").at("code") == "unreachable");
  CHECK(daemon.get("/healthz").at("status") == "ok");  // requests have threads left
  readers.pop_back();
  CHECK(eventually([&] {
    StreamReader again(daemon, "/api/v1/stream");
    return eventually([&] { return again.status() != 0; }) && again.status() == 200;
  }));
}

TEST_CASE("a followed log brings what is added and ends with the run") {
  Served daemon;
  const std::int64_t run = daemon.submit().at("runs").at(0).at("id");
  const auto log = daemon.home.paths.log(run);
  write_text(log, "one\ntwo\n");
  StreamReader reader(daemon, "/api/v1/runs/" + std::to_string(run) + "/logs?follow=1&tail=1");
  REQUIRE(reader.shows("data: two\n\n"));
  CHECK(reader.text().find("data: one") == std::string::npos);
  write_text(log, "three\n", std::ios::app);
  REQUIRE(reader.shows("data: three\n\n"));
  write_text(log, "last\n", std::ios::app);
  daemon.finish(run, core::RunState::completed);
  REQUIRE(reader.shows("event: end"));
  CHECK(reader.ends());
  CHECK(reader.text().find("data: last") < reader.text().find("event: end"));
}

TEST_CASE("a page on another site and a rebound name are refused") {
  const Served daemon;
  httplib::Client client = daemon.client();
  const auto status = [&](const httplib::Headers& headers) {
    const auto result = client.Get("/api/v1/health", headers);
    REQUIRE(result);
    return result->status;
  };
  CHECK(status({}) == 200);
  CHECK(status({{"Origin", "http://evil.example.org"}}) == 403);
  CHECK(status({{"Host", "evil.example.org"}}) == 403);
  const auto answer = client.Get("/api/v1/health");
  CHECK(answer->get_header_value("X-Content-Type-Options") == "nosniff");
  CHECK(answer->get_header_value("X-Frame-Options") == "DENY");
  CHECK(answer->get_header_value("Content-Security-Policy").find("default-src 'self'") != std::string::npos);
  CHECK_FALSE(answer->has_header("Access-Control-Allow-Origin"));
}

TEST_CASE("with a token: refused without, let in by header, and a browser gets a cookie") {
  const std::string token(64, 'a');
  TempDir web;
  write_text(web.path() / "index.html", "<html>dashboard</html>");
  const Served daemon(token, web.path());
  httplib::Client client = daemon.client();
  CHECK(client.Get("/healthz")->status == 200);
  CHECK(client.Get("/api/v1/runs")->status == 401);
  CHECK(json::parse(client.Get("/api/v1/runs")->body).at("error").at("code") == "unauthorized");
  CHECK(client.Get("/api/v1/runs", {{"Authorization", "Bearer " + token}})->status == 200);
  CHECK(client.Get("/api/v1/runs?token=" + token)->status == 200);

  const auto page = client.Get("/", {{"Accept", "text/html"}});
  CHECK(page->status == 401);
  CHECK(page->body.find("token") != std::string::npos);
  CHECK(page->body.find(token) == std::string::npos);
  const auto entered = client.Get("/?token=" + token);
  CHECK(entered->status == 303);
  CHECK(entered->get_header_value("Location") == "/");
  const std::string cookie = entered->get_header_value("Set-Cookie");
  CHECK(cookie.find("HttpOnly") != std::string::npos);
  const auto inside = client.Get("/", {{"Cookie", cookie.substr(0, cookie.find(';'))}});
  CHECK(inside->status == 200);
  CHECK(inside->body == "<html>dashboard</html>");
  const auto elsewhere = client.Get("//evil.example.org?token=" + token);
  CHECK(elsewhere->get_header_value("Location") == "/");
}

TEST_CASE("the dashboard's files are served, its routes fall back, nothing outside is reachable") {
  TempDir folder;
  const auto web = folder.path() / "web";
  write_text(folder.path() / "secret.txt", "secret");
  std::filesystem::create_directories(web / "assets");
  write_text(web / "index.html", "<html>dashboard</html>");
  write_text(web / "assets" / "app-1a2b.js", "let x");
  write_text(web / ".hidden", "hidden");
  std::filesystem::create_symlink(folder.path() / "secret.txt", web / "link.txt");
  const Served daemon("", web);
  httplib::Client client = daemon.client();
  const auto script = client.Get("/assets/app-1a2b.js");
  CHECK(script->body == "let x");
  CHECK(script->get_header_value("Content-Type").starts_with("text/javascript"));
  CHECK(script->get_header_value("Cache-Control").find("immutable") != std::string::npos);
  for (const char* page : {"/", "/index.html", "/runs/12", "/experiments"}) {
    CAPTURE(page);
    CHECK(client.Get(page)->body == "<html>dashboard</html>");
    CHECK(client.Get(page)->get_header_value("Cache-Control") == "no-cache");
  }
  for (const char* path : {"/missing.js", "/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/link.txt", "/.hidden",
                           "/assets/%2e%2e/%2e%2e/secret.txt", "//secret.txt"}) {
    CAPTURE(path);
    const auto answer = client.Get(path);
    REQUIRE(answer);
    CHECK(answer->body.find("secret") == std::string::npos);
    CHECK(answer->body.find("hidden") == std::string::npos);
  }
  CHECK(client.Post("/", "", "text/plain")->status == 404);
}

TEST_CASE("without a built dashboard the page says what to do") {
  const Served daemon;
  const auto page = daemon.client().Get("/");
  REQUIRE(page);
  CHECK(page->status == 503);
  CHECK(page->body.find("build_web.sh") != std::string::npos);
}

TEST_CASE("a port in use names the port and the remedy") {
  Served daemon;
  std::string message;
  const auto again = [&] {
    server::http::HttpServer second(daemon.service, daemon.webhooks, daemon.home.bus, daemon.metrics,
                                    {"127.0.0.1", daemon.server->port(), "", {}});
  };
  CHECK(kind_of_error(again, &message) == core::ErrorKind::conflict);
  CHECK(message.find(std::to_string(daemon.server->port())) != std::string::npos);
  CHECK(message.find("--port") != std::string::npos);
  const auto elsewhere = [&] {
    server::http::HttpServer second(daemon.service, daemon.webhooks, daemon.home.bus, daemon.metrics, {"203.0.113.1", 0, "t", {}});
  };
  CHECK(kind_of_error(elsewhere, &message) == core::ErrorKind::usage);
  CHECK(message.find("203.0.113.1") != std::string::npos);
}

TEST_CASE("a request without a body is answered at once, with or without its length") {
  Served daemon;
  daemon.submit();
  daemon.post("/api/v1/runs/1/pause", json::object());
  const auto began = std::chrono::steady_clock::now();
  const auto send = [&](const std::string& method, const std::string& path, const std::string& headers) {
    return raw_answer(daemon.server->port(),
                      method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + headers + "\r\n");
  };
  for (const std::string& length : {std::string(), std::string("Content-Length: 0\r\n")}) {
    CAPTURE(length);
    const std::string resumed = send("POST", "/api/v1/runs/1/resume", length);
    CHECK(resumed.starts_with("HTTP/1.1 200 "));
    CHECK(resumed.find("\"state\":\"queued\"") != std::string::npos);
    daemon.post("/api/v1/runs/1/pause", json::object());
    for (const char* path : {"/api/v1/queue/hold", "/api/v1/queue/drain", "/api/v1/queue/release", "/api/v1/gc", "/api/v1/runs/2/force",
                             "/api/v1/experiments/1/force", "/api/v1/devices/cpu0/disable", "/api/v1/devices/cpu0/enable"}) {
      CAPTURE(path);
      CHECK(send("POST", path, length).starts_with("HTTP/1.1 200 "));
    }
    const std::string refused = send("POST", "/api/v1/runs/cancel", length);
    CHECK(refused.starts_with("HTTP/1.1 400 "));
    CHECK(refused.find("The request has no body: send a JSON object with 'ids' as 'Content-Type: application/json'.") != std::string::npos);
    CHECK(send("POST", "/api/v1/runs/priority", length).find("with 'ids' and 'priority' as") != std::string::npos);
    CHECK(send("DELETE", "/api/v1/webhooks/9", length).starts_with("HTTP/1.1 404 "));
  }
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(4));  // the library waits 5 s for one body
}

TEST_CASE("the stream tells what was deleted") {
  Served daemon;
  daemon.submit();
  daemon.finish(1, core::RunState::completed);
  StreamReader reader(daemon, "/api/v1/stream");
  REQUIRE(reader.shows(": connected"));
  daemon.post("/api/v1/runs/1/delete", json::object());
  REQUIRE(reader.shows("event: gone"));
  CHECK(last_data(reader.text(), "gone") == json{{"run", 1}});
  REQUIRE(reader.shows("\"total\":2"));  // the experiment has lost it
  daemon.post("/api/v1/experiments/1/delete", json::object());
  REQUIRE(reader.shows("\"experiment\":1}"));
  CHECK(last_data(reader.text(), "gone") == json{{"experiment", 1}});
}

TEST_CASE("paths too long for us and requests too odd are answered, not crashed on") {
  const Served daemon;
  httplib::Client client = daemon.client();
  CHECK(client.Get("/" + std::string(3000, 'a'))->status == 414);
  const auto odd = client.Get("/api/v1/runs/%0a%00%ff");
  REQUIRE(odd);
  CHECK(odd->status == 404);
  CHECK(daemon.get("/healthz").at("status") == "ok");
}
