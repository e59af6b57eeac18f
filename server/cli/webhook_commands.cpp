// moelab webhook: whom the daemon tells of runs that change their state and of alerts.
#include <algorithm>
#include <fstream>
#include <iostream>

#include "core/error.h"
#include "core/nearest_name.h"
#include "server/cli/checks.h"
#include "server/cli/client.h"
#include "server/cli/format.h"
#include "server/cli/table.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

using nlohmann::json;

struct Options {
  std::int64_t id = 0;
  std::string url, secret, secret_file, experiment;
  std::vector<std::string> events;
  std::int64_t limit = 100;
  bool as_json = false;
};

std::string webhook_path(const Options& options, const std::string& verb = "") {
  return "/api/v1/webhooks/" + std::to_string(options.id) + verb;
}

std::string joined(const json& list) {
  std::string text;
  for (const json& item : list) text += (text.empty() ? "" : ",") + item.get<std::string>();
  return text;
}

Tone result_tone(const std::string& result) {
  return result == "delivered" ? Tone::good : result == "given_up" ? Tone::bad : Tone::active;
}

// "delivered", "given_up: the receiver answered 500"
std::string outcome(const json& delivery) {
  const std::string error = text_or(delivery, "error");
  return text_or(delivery, "result") + (error.empty() ? "" : ": " + error);
}

// A line for people, or the answer as it is.
int print(const json& answer, bool as_json, const std::string& line) {
  std::cout << (as_json ? answer.dump(2) : line) << "\n";
  return core::kExitDone;
}

// The first line of a file, or of standard input for "-": unlike an argument it is not shown to everybody by `ps`.
std::string read_secret(const std::string& file) {
  std::ifstream opened;
  if (file != "-") opened.open(file);
  std::istream& in = file == "-" ? std::cin : opened;
  std::string secret;
  if (!std::getline(in, secret) || secret.empty() || secret == "\r") {
    throw core::Error(core::ErrorKind::usage,
                      "There is no secret in " + (file == "-" ? "standard input" : file) + ": write it on the first line.");
  }
  if (secret.ends_with('\r')) secret.pop_back();
  return secret;
}

// A name is allowed before there is an experiment of it; a slip would never be heard of.
void warn_of_unknown(const Client& client, const std::string& experiment) {
  const json answer = client.get("/api/v1/experiments?archived=true");
  std::vector<std::string> known;
  for (const json& one : answer.at("experiments")) known.push_back(text_or(one, "name"));
  if (std::find(known.begin(), known.end(), experiment) != known.end()) return;
  std::cerr << "moelab: there is no experiment '" << experiment << "' yet" << core::did_you_mean(experiment, known)
            << "; the webhook hears nothing until there is one.\n";
}

int add(const Options& options) {
  const std::string secret = options.secret_file.empty() ? options.secret : read_secret(options.secret_file);
  json body = {{"url", options.url}};
  if (!options.events.empty()) body["events"] = options.events;
  if (!options.experiment.empty()) body["experiment"] = options.experiment;
  if (!secret.empty()) body["secret"] = secret;
  const Client client = Client::connect();
  const json answer = client.post("/api/v1/webhooks", body);
  if (!options.experiment.empty()) warn_of_unknown(client, options.experiment);
  std::string line = "Webhook " + answer.at("id").dump() + " hears of " + joined(answer.at("events")) + ".";
  if (secret.empty()) line += "\nIts secret, shown this once: " + text_or(answer, "secret");
  return print(answer, options.as_json, line);
}

int list(const Options& options) {
  const json answer = Client::connect().get("/api/v1/webhooks");
  if (options.as_json) return print(answer, true, "");
  Table table({{"id", true}, {"url"}, {"experiment"}, {"enabled"}, {"pending", true}, {"last"}, {"events", false, true}});
  for (const json& webhook : answer.at("webhooks")) {
    const json& last = webhook.at("last_delivery");
    table.add({webhook.at("id").dump(), Cell(text_or(webhook, "url"), Tone::strong), text_or(webhook, "experiment"),
               Cell(webhook.at("enabled").get<bool>() ? "yes" : "no"), webhook.at("pending").dump(),
               last.is_null() ? Cell() : Cell(text_or(last, "result"), result_tone(text_or(last, "result"))),
               joined(webhook.at("events"))});
  }
  std::cout << (table.empty() ? "There are no webhooks; `moelab webhook add URL` makes one.\n" : table.text(Terminal::of_stdout()));
  return core::kExitDone;
}

int remove(const Options& options) {
  const json answer = Client::connect().remove(webhook_path(options));
  return print(answer, options.as_json, "Webhook " + answer.at("id").dump() + " is removed.");
}

int enable(const Options& options, bool enabled) {
  const json answer = Client::connect().post(webhook_path(options, enabled ? "/enable" : "/disable"), json::object());
  return print(answer, options.as_json, "Webhook " + answer.at("id").dump() + (enabled ? " is enabled." : " is disabled."));
}

int test(const Options& options) {
  const json answer = Client::connect().post(webhook_path(options, "/test"), json::object());
  print(answer, options.as_json, outcome(answer));
  return text_or(answer, "result") == "delivered" ? core::kExitDone : core::kExitRunFailed;
}

int deliveries(const Options& options) {
  const json answer = Client::connect().get(webhook_path(options, "/deliveries?limit=" + std::to_string(options.limit)));
  if (options.as_json) return print(answer, true, "");
  Table table({{"id", true}, {"time"}, {"type"}, {"run", true}, {"state"}, {"attempts", true}, {"next attempt"}, {"result", false, true}});
  for (const json& delivery : answer.at("deliveries")) {
    const json& run = delivery.at("payload").at("run");
    table.add({delivery.at("id").dump(), text_or(delivery, "created_at"), text_or(delivery, "type"),
               run.is_null() ? "" : run.at("id").dump(), run.is_null() ? "" : text_or(run, "state"), delivery.at("attempts").dump(),
               text_or(delivery, "next_attempt_at"), Cell(outcome(delivery), result_tone(text_or(delivery, "result")))});
  }
  std::cout << table.text(Terminal::of_stdout());
  return core::kExitDone;
}

// A verb that takes the id of a webhook.
CLI::App& with_id(CLI::App& verb, Options& options) {
  verb.add_option("ID", options.id, "As `moelab webhook ls` shows it")->required()->check(whole_number(1));
  return verb;
}

}  // namespace

void add_webhook_verbs(Verbs& verbs) {
  CLI::App& group = verbs.add_group("webhook", "URLs that the daemon calls when a run changes its state or raises an alert");
  const auto verb = [&](const std::string& name, const std::string& summary, const std::string& example, auto&& action) {
    auto options = std::make_shared<Options>();
    CLI::App& added = verbs.add_to(group, name, summary, example, [options, action] { return action(*options); });
    added.add_flag("--json", options->as_json, "As JSON");
    return std::pair<CLI::App&, Options&>(added, *options);
  };

  auto [add_verb, added] = verb("add", "Add a URL; prints the secret of its signatures once",
                                "  moelab webhook add https://example.org/hook\n"
                                "  moelab webhook add https://example.org/hook --events failed,completed,alert --experiment a_load_balance",
                                add);
  add_verb.add_option("URL", added.url, "http or https")->required();
  add_verb.add_option("--events", added.events, "Names of states, or alert; default: every state that ends a run, and alert")
      ->delimiter(',');
  add_verb.add_option("-e,--experiment", added.experiment, "Only runs that an experiment of this name lists");
  auto* secret = add_verb.add_option("--secret", added.secret, "Key of the signatures, 16 characters or more; default: a random one");
  add_verb.add_option("--secret-file", added.secret_file, "The same from the first line of a file, - for standard input: `ps` shows arguments to all")
      ->excludes(secret);

  verb("ls", "List them", "  moelab webhook ls --json", list);
  auto [test_verb, tested] = verb("test", "Call it now, and say how that went", "", test);
  with_id(test_verb, tested);
  auto [rm_verb, removed] = verb("rm", "Remove it, with what was still to be delivered", "", remove);
  with_id(rm_verb, removed);
  auto [enable_verb, enabled] = verb("enable", "Deliver to it again", "", [](const Options& given) { return enable(given, true); });
  with_id(enable_verb, enabled);
  auto [disable_verb, disabled] =
      verb("disable", "Keep it, but deliver nothing", "", [](const Options& given) { return enable(given, false); });
  with_id(disable_verb, disabled);
  auto [deliveries_verb, listed] = verb("deliveries", "What was sent to it, what waits, and what was given up; newest first",
                                        "  moelab webhook deliveries 1 --limit 20", deliveries);
  with_id(deliveries_verb, listed).add_option("--limit", listed.limit, "Most to show")->check(whole_number(1, 1000))->capture_default_str();
}

}  // namespace moelab::server::cli
