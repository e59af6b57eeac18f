// Who may talk to the daemon.
#include <doctest/doctest.h>
#include <httplib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "server/http/auth.h"

using namespace moelab::server::http;
namespace fs = std::filesystem;

namespace {

// Sets a variable for the life of the object.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Environment() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

struct TempDir {
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "moelab-auth-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TempDir() { fs::remove_all(path); }
  fs::path path;
};

httplib::Request request(const std::string& path, const httplib::Headers& headers) {
  httplib::Request made;
  made.method = "GET";
  made.path = path;
  made.headers = headers;
  return made;
}

int status(const Guard& guard, const httplib::Request& asked) {
  const auto refusal = guard.check(asked);
  return refusal ? refusal->status : 200;
}

}  // namespace

TEST_CASE("loopback is recognised, and names that only look like it are not") {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "localhost", "LocalHost", "::1"}) CHECK_MESSAGE(is_loopback(host), host);
  for (const char* host : {"0.0.0.0", "192.168.1.2", "127.0.0.1.example.org", "localhost.example.org", "127.evil.org.x", "::", ""}) {
    CHECK_MESSAGE(!is_loopback(host), host);
  }
}

TEST_CASE("on loopback the Host header must name loopback") {
  const Guard guard("");
  CHECK(status(guard, request("/api/v1/runs", {{"Host", "127.0.0.1:7070"}})) == 200);
  CHECK(status(guard, request("/api/v1/runs", {{"Host", "localhost:8080"}})) == 200);
  CHECK(status(guard, request("/api/v1/runs", {{"Host", "[::1]:7070"}})) == 200);
  CHECK(status(guard, request("/api/v1/runs", {{"Host", "rebound.example.org:7070"}})) == 403);
  CHECK(status(guard, request("/api/v1/runs", {{"Host", "127.0.0.1.example.org"}})) == 403);
  CHECK(status(guard, request("/api/v1/runs", {})) == 403);
}

TEST_CASE("an Origin must be the host that was asked for") {
  const Guard guard("");
  const auto from = [&](const char* origin) {
    return status(guard, request("/api/v1/runs", {{"Host", "127.0.0.1:7070"}, {"Origin", origin}}));
  };
  CHECK(from("http://127.0.0.1:7070") == 200);
  CHECK(from("http://127.0.0.1:9999") == 403);
  CHECK(from("http://evil.example.org") == 403);
  CHECK(from("null") == 403);
}

TEST_CASE("with a token nothing but /healthz answers without it") {
  const std::string token(64, 'a');
  const Guard guard(token);
  const httplib::Headers host{{"Host", "lab.example.org:7070"}};
  CHECK(status(guard, request("/healthz", host)) == 200);
  CHECK(status(guard, request("/", host)) == 401);
  CHECK(status(guard, request("/api/v1/runs", host)) == 401);

  const auto with = [&](const std::string& name, const std::string& value) {
    httplib::Headers headers = host;
    headers.emplace(name, value);
    return status(guard, request("/api/v1/runs", headers));
  };
  CHECK(with("Authorization", "Bearer " + token) == 200);
  CHECK(with("Authorization", "bearer " + token) == 200);
  CHECK(with("Authorization", "Bearer " + std::string(64, 'b')) == 401);
  CHECK(with("Authorization", "Bearer " + token.substr(1)) == 401);
  CHECK(with("Authorization", token) == 401);
  CHECK(with("Cookie", "theme=dark; moelab_token=" + token + "; x=y") == 200);
  CHECK(with("Cookie", "not_moelab_token=" + token) == 401);

  httplib::Request query = request("/", host);
  query.params.emplace("token", token);
  CHECK(status(guard, query) == 200);
  CHECK(guard.has_token_parameter(query));
  CHECK(guard.cookie().find("HttpOnly") != std::string::npos);
  CHECK(guard.cookie().find("SameSite=Strict") != std::string::npos);
}

TEST_CASE("a wrong token is told from none") {
  const Guard guard(std::string(64, 'a'));
  const auto says = [&](httplib::Headers headers) {
    headers.emplace("Host", "x");
    return std::string(guard.check(request("/api/v1/runs", headers))->error.what());
  };
  CHECK(says({}).starts_with("A token is needed: "));
  for (const httplib::Headers& wrong : {httplib::Headers{{"Authorization", "Bearer " + std::string(64, 'b')}}, {{"Cookie", "moelab_token=b"}}}) {
    CHECK(says(wrong).starts_with("The token that was sent is not the daemon's: "));
    CHECK(says(wrong).find("MOELAB_TOKEN") != std::string::npos);
  }
}

TEST_CASE("an empty token is no token: nobody gets in with an empty one") {
  const Guard guard(std::string(64, 'a'));
  CHECK(status(guard, request("/api/v1/runs", {{"Host", "x"}, {"Authorization", "Bearer "}})) == 401);
}

TEST_CASE("loopback needs no token; another address makes one and keeps it to itself") {
  const Environment no_container("MOELAB_CONTAINER", "0");
  const Environment no_token("MOELAB_TOKEN", nullptr);
  const TempDir home;
  const BindPolicy local = bind_policy(std::nullopt, home.path);
  CHECK(local.host == "127.0.0.1");
  CHECK(local.token.empty());
  CHECK_FALSE(fs::exists(home.path / "token"));

  const BindPolicy open = bind_policy("0.0.0.0", home.path);
  CHECK(open.token.size() == 64);
  CHECK(open.token_file == home.path / "token");
  struct stat file {};
  REQUIRE(::stat(open.token_file.c_str(), &file) == 0);
  CHECK((file.st_mode & 0777) == 0600);
  CHECK(bind_policy("0.0.0.0", home.path).token == open.token);  // a browser's cookie survives a restart

  fs::permissions(open.token_file, fs::perms::owner_read | fs::perms::owner_write | fs::perms::others_read);
  const BindPolicy again = bind_policy("0.0.0.0", home.path);
  CHECK(again.token != open.token);  // others may have read the old one
  REQUIRE(::stat(open.token_file.c_str(), &file) == 0);
  CHECK((file.st_mode & 0777) == 0600);
}

TEST_CASE("inside a container all interfaces are bound, with a token") {
  const Environment container("MOELAB_CONTAINER", "1");
  const Environment token("MOELAB_TOKEN", "from-the-environment");
  const TempDir home;
  const BindPolicy policy = bind_policy(std::nullopt, home.path);
  CHECK(policy.host == "0.0.0.0");
  CHECK(policy.token == "from-the-environment");
  CHECK(bind_policy("127.0.0.1", home.path).token.empty());
}

TEST_CASE("a token that cannot be stored is an error that names the file") {
  const Environment no_token("MOELAB_TOKEN", nullptr);
  const TempDir home;
  std::ofstream(home.path / "file") << "in the way";
  try {
    bind_policy("0.0.0.0", home.path / "file");
    FAIL("no error");
  } catch (const moelab::core::Error& error) {
    CHECK(error.kind() == moelab::core::ErrorKind::storage);
    CHECK(std::string(error.what()).find("file/token") != std::string::npos);
  }
}
