// moelab export, moelab import, moelab score: what leaves Moelab, what comes in, and how good it is. The worker carries them out.
#include "server/cli/become_worker.h"
#include "server/cli/checks.h"
#include "server/cli/verbs.h"

namespace moelab::server::cli {

namespace {

void add_export(Verbs& verbs) {
  auto from = std::make_shared<std::string>();
  auto verb = std::make_shared<CLI::App*>(nullptr);
  *verb = &verbs.add("export", "Write a trained model as a Hugging Face Transformers directory",
                     "  moelab export a1_lb_penalty -o ./a1_hf\n  moelab export ./checkpoint -o ./hf --max-shard-size 500MB", [from, verb] {
                       std::vector<std::string> arguments = {"export", "--from", model_directory(*from)};
                       pass_on(**verb, {"--out", "--max-shard-size"}, arguments);
                       return become_worker(arguments);
                     });
  CLI::App& options = **verb;
  options.add_option("RUN", *from, "Id or name of a run, or a run or checkpoint directory")->required();
  options.add_option("-o,--out", "Directory to make; must not hold anything")->required();
  options.add_option("--format", "hf: config.json and safetensors of the architecture that is exactly this model")
      ->check(one_of({"hf"}))
      ->default_str("hf");
  options.add_option("--max-shard-size", "Largest weight file, such as 500MB; default 5GB");
}

void add_import(Verbs& verbs) {
  auto from = std::make_shared<std::string>();
  auto verb = std::make_shared<CLI::App*>(nullptr);
  *verb = &verbs.add("import", "Make a checkpoint of a Hugging Face Transformers directory", "  moelab import ./mixtral -o ./mixtral_moedl",
                     [from, verb] {
                       std::vector<std::string> arguments = {"import", "--from", *from};
                       pass_on(**verb, {"--out"}, arguments);
                       return become_worker(arguments);
                     });
  CLI::App& options = **verb;
  options.add_option("HF_DIR", *from, "Directory with config.json and safetensors")->required()->check(CLI::ExistingDirectory);
  options.add_option("-o,--out", "Directory to make; must not hold anything")->required();
}

void add_score(Verbs& verbs) {
  auto from = std::make_shared<std::string>();
  auto verb = std::make_shared<CLI::App*>(nullptr);
  *verb = &verbs.add("score", "Mean negative log-likelihood of the next token, over given ids or a text",
                     "  moelab score --model a1_lb_penalty --text story.txt\n"
                     "  moelab score --model ./mixtral --tokens ids.npy --logits logits.npy --json\n"
                     "Every id but the first of a sequence is scored once. A sequence longer than the model's P positions is cut\n"
                     "into windows of P ids that see nothing of each other; the last id of a window predicts the first of the next.",
                     [from, verb] {
                       std::vector<std::string> arguments = {"score", "--model", model_directory(*from)};
                       pass_on(**verb, {"--tokens", "--text", "--logits", "--json", "--threads"}, arguments);
                       return become_worker(arguments);
                     });
  CLI::App& options = **verb;
  options.add_option("--model", *from, "Id or name of a run, or a run, checkpoint or Transformers directory")->required();
  options.add_option("--tokens", "Ids, .npy or .bin: one dimension is one sequence, two are B sequences of L");
  options.add_option("--text", "Instead: a text file, one document for the model's tokenizer");
  options.add_option("--logits", "Write the logits as float32 .npy, [L, V] or [B, L, V]");
  options.add_option("--threads", "CPU threads")->check(whole_number(1));
  options.add_flag_function(
      "--json", [](std::int64_t) {}, "As JSON");
}

}  // namespace

void add_model_verbs(Verbs& verbs) {
  add_export(verbs);
  add_import(verbs);
  add_score(verbs);
}

}  // namespace moelab::server::cli
