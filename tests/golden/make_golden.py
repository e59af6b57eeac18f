"""Makes the golden files: tiny Transformers models with their logits, losses, gradients and twenty training steps.

    python make_golden.py [--out DIR]

Needs requirements.txt. The C++ parity tests (tests/worker/interop) read the committed files; test_golden.py makes them
afresh and compares. Each case is a folder:

    config.json, model.safetensors      the model as save_pretrained writes it (absent in mixtral_aux: mixtral's)
    gradients/                          the same names, with gradients of the loss in place of weights
    golden.safetensors                  ids [B, L], logits [B, L, V], nll and loss [1]; of the trained cases also
                                        train_ids [N, B, L], train_losses [N], train_nll [N] and, with expert biases,
                                        train_biases [layers, E]; metadata: the training settings
"""

import argparse
import pathlib

import torch
from safetensors.torch import save_file
from transformers import (Glm4MoeConfig, Glm4MoeForCausalLM, LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM, OlmoeConfig,
                          OlmoeForCausalLM, Qwen2MoeConfig, Qwen2MoeForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM)

BATCH, LENGTH, STEPS = 2, 12, 20
# Large enough that twenty steps halve the loss; at 1e-2 one ulp in a weight already grows to 6e-5 of glm4_moe's loss, here to 2e-6.
LR, CLIP = 3e-3, 1.0
BIAS_GAMMA = 0.05
AUX_COEFFICIENT = 0.05

# head_dim differs from hidden_size / heads, so that nothing can confuse the two.
COMMON = dict(vocab_size=64, hidden_size=16, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
              max_position_embeddings=32, bos_token_id=1, eos_token_id=2, attn_implementation="eager")
# Of the cases that are not trained: many, and so smaller.
SMALL = {**COMMON, "vocab_size": 32, "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 2,
         "intermediate_size": 12}
SMALL_MOE = {**SMALL, "num_hidden_layers": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 4}


def llama():
    return LlamaForCausalLM(LlamaConfig(**COMMON, num_hidden_layers=2, intermediate_size=24, rope_parameters={"rope_type": "default", "rope_theta": 5e3}))


def llama_tied():
    """One key/value head per query head, of the usual width; the head shares the embedding."""
    return LlamaForCausalLM(LlamaConfig(**{**SMALL, "num_key_value_heads": 2, "head_dim": 4, "tie_word_embeddings": True}))


def mixtral(aux=0.0):
    config = MixtralConfig(**COMMON, num_hidden_layers=2, intermediate_size=12, num_local_experts=6, num_experts_per_tok=2,
                           output_router_logits=aux > 0, router_aux_loss_coef=aux)
    return MixtralForCausalLM(config)


def mixtral_small(active, **changes):
    return MixtralForCausalLM(MixtralConfig(**{**SMALL, "intermediate_size": 4, "num_local_experts": 5, "num_experts_per_tok": active, **changes}))


def olmoe(**changes):
    """Norms over all heads at once, which need heads of width hidden_size / heads. The class's pad token would get no gradient."""
    fields = {**SMALL, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 4, "num_experts": 5, "num_experts_per_tok": 2,
              "pad_token_id": None, **changes}
    del fields["head_dim"]
    return OlmoeForCausalLM(OlmoeConfig(**fields))


def qwen3_moe(**changes):
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**{**SMALL_MOE, "num_experts": 5, **changes}))


def qwen2_moe(**changes):
    return Qwen2MoeForCausalLM(Qwen2MoeConfig(**{**SMALL_MOE, "num_experts": 5, "qkv_bias": False, "shared_expert_intermediate_size": 1, **changes}))


def glm4_moe(**changes):
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0}
    fields = dict(**COMMON, num_hidden_layers=3, intermediate_size=20, moe_intermediate_size=8, n_routed_experts=6,
                  num_experts_per_tok=3, n_shared_experts=2, first_k_dense_replace=1, n_group=1, topk_group=1, norm_topk_prob=True,
                  routed_scaling_factor=2.5, num_nextn_predict_layers=0, rope_parameters=rope)
    return Glm4MoeForCausalLM(Glm4MoeConfig(**{**fields, **changes}))


def glm4_moe_small(**changes):
    return glm4_moe(**{**SMALL_MOE, "n_routed_experts": 4, "n_shared_experts": 1, "routed_scaling_factor": 1.0, **changes})


# Name: how to make the model, and whether it is trained.
CASES = {
    "llama": (llama, True),
    "mixtral": (mixtral, True),
    "mixtral_aux": (lambda: mixtral(AUX_COEFFICIENT), True),
    "glm4_moe": (glm4_moe, True),
    "llama_tied": (llama_tied, False),
    "mixtral_k1": (lambda: mixtral_small(1, tie_word_embeddings=True), False),
    "mixtral_k4": (lambda: mixtral_small(4, num_attention_heads=4, num_key_value_heads=4), False),
    "olmoe": (olmoe, False),
    "olmoe_norm": (lambda: olmoe(num_experts_per_tok=4, norm_topk_prob=True, tie_word_embeddings=True), False),
    "qwen2_moe": (lambda: qwen2_moe(norm_topk_prob=True, mlp_only_layers=[1]), False),
    "qwen2_moe_k1": (lambda: qwen2_moe(num_experts_per_tok=1, decoder_sparse_step=2, shared_expert_intermediate_size=3), False),
    "qwen3_moe": (lambda: qwen3_moe(norm_topk_prob=True, decoder_sparse_step=2), False),
    "qwen3_moe_k4": (lambda: qwen3_moe(num_experts_per_tok=4, mlp_only_layers=[0], tie_word_embeddings=True), False),
    "qwen3_moe_dense": (lambda: qwen3_moe(mlp_only_layers=[0, 1, 2]), False),
    "glm4_moe_plain": (lambda: glm4_moe_small(n_shared_experts=0, num_experts_per_tok=1, first_k_dense_replace=0, norm_topk_prob=False,
                                              routed_scaling_factor=1.5), False),
    "glm4_moe_norms": (lambda: glm4_moe_small(use_qk_norm=True, num_experts_per_tok=4, first_k_dense_replace=2, tie_word_embeddings=True), False),
    "glm4_moe_groups": (lambda: glm4_moe_small(n_routed_experts=8, n_group=4, topk_group=2), False),
}


def draw_weights(model, seed):
    """Weights far larger than a fresh model's, so that a wrong detail shows; the bias of GLM must not be zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted(model.state_dict().items()):
            noise = torch.randn(tensor.shape, generator=generator)
            if "norm" in name:
                tensor.copy_(1 + 0.2 * noise)
            elif "e_score_correction_bias" in name:
                tensor.copy_(0.3 * noise)
            elif "shared_expert." in name or "shared_expert_gate" in name:
                tensor.zero_()  # Moedl has no gated shared expert; Qwen2-MoE must have one
            elif "embed" in name or "gate.weight" in name:
                tensor.copy_(0.5 * noise)
            else:
                tensor.copy_(0.25 * noise)


def nll(logits, ids):
    """Mean next-token cross-entropy over the L - 1 positions that have a target."""
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())


class Counts:
    """Assignments of each expert in the last forward pass, by layer, as the routers of GLM report them."""

    def __init__(self, model):
        self.routers = [m for m in model.modules() if hasattr(m, "e_score_correction_bias")]
        self.counts = {}
        for router in self.routers:
            router.register_forward_hook(self.record)

    def record(self, router, inputs, output):
        self.counts[router] = torch.bincount(output[2].flatten(), minlength=router.num_experts)

    def update_biases(self, gamma):
        """The proportional rule: b -= gamma * (E * f - 1), f = share of the step's assignments."""
        for router in self.routers:
            count = self.counts[router].double()
            excess = router.num_experts * count / count.sum() - 1
            router.e_score_correction_bias -= (gamma * excess).float()


def train(model, batches):
    """Twenty AdamW steps as a Transformers user writes them; returns each step's whole loss and its cross-entropy."""
    counts = Counts(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses, nlls = [], []
    for ids in batches:
        out = model(input_ids=ids, labels=ids)
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            counts.update_biases(BIAS_GAMMA)
        losses.append(out.loss.item())
        nlls.append(nll(out.logits.detach(), ids).item())
    return losses, nlls, [r.e_score_correction_bias.clone() for r in counts.routers]


def save_gradients(make_model, gradients, folder):
    """Writes gradients where weights would be, so that they pass through the same renaming and the same reader."""
    holder = make_model()
    with torch.no_grad():
        for name, tensor in holder.named_parameters():  # a tied head is the embedding, and not listed again
            tensor.copy_(gradients[name])
        for buffer in holder.buffers():
            buffer.zero_()
    holder.save_pretrained(folder)


def make_case(out, name, make_model, trained, seed):
    folder = out / name
    folder.mkdir(parents=True)
    model = make_model()
    draw_weights(model, seed)
    if name != "mixtral_aux":
        model.save_pretrained(folder)
    generator = torch.Generator().manual_seed(seed + 1)
    vocab_size = model.config.vocab_size
    ids = torch.randint(0, vocab_size, (BATCH, LENGTH), generator=generator)
    # Two batches in turn, so that the loss falls: every update shows in the losses that follow.
    train_ids = torch.randint(0, vocab_size, (2, BATCH, LENGTH), generator=generator).repeat(STEPS // 2, 1, 1)

    model.train()
    result = model(input_ids=ids, labels=ids)
    result.loss.backward()
    save_gradients(make_model, {n: p.grad for n, p in model.named_parameters()}, folder / "gradients")
    model.zero_grad()

    tensors = {
        "ids": ids,
        "logits": result.logits.detach().contiguous(),
        "nll": nll(result.logits.detach(), ids).double().reshape(1),
        "loss": result.loss.detach().double().reshape(1),
    }
    if trained:
        losses, nlls, biases = train(model, train_ids)
        tensors["train_ids"] = train_ids
        tensors["train_losses"] = torch.tensor(losses, dtype=torch.float64)
        tensors["train_nll"] = torch.tensor(nlls, dtype=torch.float64)
        if biases:
            tensors["train_biases"] = torch.stack(biases)
    metadata = {"lr": repr(LR), "grad_clip": repr(CLIP), "bias_gamma": repr(BIAS_GAMMA), "aux_coefficient": repr(AUX_COEFFICIENT)}
    save_file(tensors, folder / "golden.safetensors", metadata)
    for extra in folder.rglob("generation_config.json"):
        extra.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    seeds = {"llama": 1, "mixtral": 2, "mixtral_aux": 2, "glm4_moe": 3}
    for number, (name, (make_model, trained)) in enumerate(CASES.items()):
        make_case(out, name, make_model, trained, seeds.get(name, 100 + number))


if __name__ == "__main__":
    main()
