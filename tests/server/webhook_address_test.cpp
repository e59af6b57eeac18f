// What may be a webhook: its URL, and the addresses behind it.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "server/notice/public_address.h"
#include "server/notice/webhook_url.h"
#include "tests/server/notice_fixture.h"

using namespace moelab;
using namespace moelab::test;

namespace {

// The message with which a webhook of that URL is refused; "" when it is taken.
std::string refusal(NoticeHome& t, const std::string& url) {
  try {
    t.webhooks->add({url, "", {}, ""});
  } catch (const core::Error& e) {
    CHECK(e.kind() == core::ErrorKind::usage);
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the URL of a webhook is taken apart as it is sent") {
  const auto plain = server::parse_webhook_url("http://example.org");
  CHECK(plain.host == "example.org");
  CHECK(plain.port == 80);
  CHECK(plain.target == "/");
  CHECK(plain.authority() == "example.org");
  const auto full = server::parse_webhook_url("HTTPS://Example.org:8443/a/b:c@d?x=1&y=%20");
  CHECK(full.https);
  CHECK(full.port == 8443);
  CHECK(full.target == "/a/b:c@d?x=1&y=%20");
  CHECK(full.authority() == "Example.org:8443");
  const auto query = server::parse_webhook_url("https://a-b.c_d?x");
  CHECK(query.port == 443);
  CHECK(query.target == "/?x");
  const auto v6 = server::parse_webhook_url("http://[2606:4700::1111]:8080/");
  CHECK(v6.host == "2606:4700::1111");
  CHECK(v6.port == 8080);
  CHECK(v6.authority() == "[2606:4700::1111]:8080");
}

TEST_CASE("a URL that a webhook cannot have is refused with one sentence that says why") {
  NoticeHome t;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "it is empty"},
      {"example.org/hook", "it has no scheme"},
      {"ftp://example.org", "the scheme 'ftp' is not served"},
      {"file:///etc/passwd", "the scheme 'file' is not served"},
      {"http://", "it names no host"},
      {"http:///hook", "it names no host"},
      {"http://:80/", "it names no host"},
      {"http://user:secret@example.org/", "a user name or password"},
      {"http://example.org@10.0.0.1/", "a user name or password"},
      {"http://example.org:0/", "'0' is no port"},
      {"http://example.org:65536/", "'65536' is no port"},
      {"http://example.org:8o/", "'8o' is no port"},
      {"http://example.org:80:80/", "'80:80' is no port"},
      {"http://example.org/a b", "it holds a blank"},
      {"http://example.org/\r\nX-Evil: 1", "it holds a blank"},
      {"http://example.org\\@10.0.0.1/", "a backslash"},
      {"http://b\xC3\xBC"
       "cher.example/",
       "a character beyond ASCII"},
      {"http://example.org/#part", "it has a fragment"},
      {"http://exa$mple.org/", "'exa$mple.org' is no host name"},
      {"http://[::1/", "is not closed by ]"},
      {"http://[::1]x/", "is not closed by ]"},
      {"http://[127.0.0.1]/", "'127.0.0.1' is no IPv6 address"},
      {"http://[fe80::1%25eth0]/", "is no IPv6 address"},
      {"http://" + std::string(254, 'a') + "/", "its host name is longer than 253"},
      {"http://example.org/" + std::string(2048, 'a'), "it is longer than 2048"},
  };
  for (const auto& [url, why] : cases) {
    const std::string message = refusal(t, url);
    CHECK_MESSAGE(message.starts_with("url: "), url << " -> " << message);
    CHECK_MESSAGE(message.find(why) != std::string::npos, url << " -> " << message);
    CHECK_MESSAGE(message.find('\n') == std::string::npos, message);
  }
  CHECK(t.webhooks->list().empty());
}

TEST_CASE("addresses inside a network are no place for a webhook") {
  for (const char* address : {"0.0.0.0",
                              "0.1.2.3",
                              "10.0.0.1",
                              "10.255.255.255",
                              "100.64.0.1",
                              "100.127.255.255",
                              "127.0.0.1",
                              "127.255.0.1",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.1",
                              "192.0.2.1",
                              "192.168.1.1",
                              "198.18.0.1",
                              "198.19.255.255",
                              "198.51.100.7",
                              "203.0.113.9",
                              "224.0.0.1",
                              "239.255.255.255",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::ffff:10.0.0.1",
                              "::ffff:7f00:1",
                              "::10.0.0.1",
                              "64:ff9b::a00:1",
                              "64:ff9b:1::1",
                              "fe80::1",
                              "fe80::1%lo",
                              "febf::1",
                              "fec0::1",
                              "fc00::1",
                              "fdff::1",
                              "ff02::1",
                              "2001::1",
                              "2001:db8::1",
                              "2002:a00:1::1",
                              "2002:7f00:1::",
                              "100::1",
                              "3fff::1",
                              "4000::1",
                              "localhost",
                              "",
                              "1.2.3",
                              "1.2.3.4.5"}) {
    CHECK_MESSAGE(!server::is_public_address(address), address);
  }
  for (const char* address :
       {"1.1.1.1",         "9.255.255.255",   "11.0.0.0",       "100.63.255.255",       "100.128.0.0",    "126.255.255.255",
        "128.0.0.1",       "169.253.0.1",     "172.15.255.255", "172.32.0.0",           "192.0.1.1",      "192.167.255.255",
        "192.169.0.0",     "198.17.0.1",      "198.20.0.0",     "223.255.255.255",      "::ffff:8.8.8.8", "64:ff9b::808:808",
        "2002:808:808::1", "2606:4700::1111", "2001:200::1",    "2001:4860:4860::8888", "2a00:1450::1",   "3ffe::1"}) {
    CHECK_MESSAGE(server::is_public_address(address), address);
  }
}

TEST_CASE("a webhook to a private address is refused unless the daemon allows it") {
  server::RequestRules rules;
  rules.resolve = [](const std::string& host, std::chrono::milliseconds timeout) {
    if (host == "two.example") return std::vector<std::string>{"93.184.215.14", "10.0.0.7"};
    if (host == "public.example") return std::vector<std::string>{"93.184.215.14"};
    return server::resolve_host(host, timeout);
  };
  NoticeHome closed(rules);
  for (const char* host : {"127.0.0.1", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "0.0.0.0", "localhost", "127.1",
                           "2130706433", "0x7f.1", "017700000001", "192.168.0.1", "[fe80::1]", "[fd00::1]", "two.example"}) {
    const std::string message = refusal(closed, "http://" + std::string(host) + ":9/hook");
    CHECK_MESSAGE(message.find("private, local or reserved") != std::string::npos, host << " -> " << message);
    CHECK_MESSAGE(message.find("--webhook-private") != std::string::npos, message);
  }
  CHECK(closed.webhooks->list().empty());
  CHECK(refusal(closed, "https://public.example/hook").empty());
  CHECK(refusal(closed, "https://1.1.1.1/hook").empty());

  NoticeHome open;
  CHECK(refusal(open, "http://127.0.0.1:9/hook").empty());
  CHECK(refusal(open, "http://localhost:9/hook").empty());
}

TEST_CASE("events, secrets and numbers of webhooks have limits") {
  NoticeHome t;
  const auto refused = [&](server::NewWebhook wanted) {
    std::string message;
    CHECK(kind_of_error([&] { t.webhooks->add(wanted); }, &message) == core::ErrorKind::usage);
    return message;
  };
  CHECK(refused({"http://1.1.1.1", "", {"complete"}, ""}).find("did you mean 'completed'") != std::string::npos);
  CHECK(refused({"http://1.1.1.1", "short", {}, ""}).find("secret: it must have 16 to 256") != std::string::npos);
  CHECK(refused({"http://1.1.1.1", "sixteen but blank", {}, ""}).find("visible ASCII") != std::string::npos);
  CHECK(refused({"http://1.1.1.1", "", {}, std::string(201, 'e')}).find("experiment:") != std::string::npos);
  for (std::size_t i = 0; i < server::kMaxWebhooks; ++i) t.add("http://1.1.1.1/" + std::to_string(i));
  CHECK(kind_of_error([&] { t.add("http://1.1.1.1/more"); }) == core::ErrorKind::conflict);
}
