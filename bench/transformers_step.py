"""One training step of Hugging Face Transformers, timed; the peer of bench/step.cpp.

Prints one JSON line with the fields of bench/step.cpp. The model, the batch, the loss and the optimiser are the ones a user of
Transformers gets: LlamaForCausalLM or MixtralForCausalLM with sdpa attention, AdamW(fused=True), clip_grad_norm_(1.0).
"""

import argparse
import json
import resource
import statistics
import time

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MixtralConfig

from shapes import BATCH, BLOCK, COMMON, SHAPES


def build(shape: dict, experts: str):
    common = dict(
        COMMON,
        vocab_size=shape["vocab_size"],
        intermediate_size=shape["width"],
        max_position_embeddings=BLOCK,
        tie_word_embeddings=False,
        use_cache=False,
        attn_implementation="sdpa",
    )
    if shape["num_experts"] == 1:
        return AutoModelForCausalLM.from_config(LlamaConfig(**common))
    config = MixtralConfig(
        **common,
        num_local_experts=shape["num_experts"],
        num_experts_per_tok=shape["num_active_experts"],
        sliding_window=None,
        output_router_logits=False,
        experts_implementation=experts,
    )
    model = AutoModelForCausalLM.from_config(config)
    assert model.config._experts_implementation == experts, "Transformers did not take the requested experts implementation"
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--experts", choices=["eager", "grouped_mm"], default="eager")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--label", default="transformers")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    shape = SHAPES[args.shape]
    model = build(shape, args.experts).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    generator = torch.Generator().manual_seed(1)

    times_ms, losses = [], []
    for _ in range(args.warmup + args.steps):
        ids = torch.randint(0, shape["vocab_size"], (BATCH, BLOCK), generator=generator)
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        times_ms.append((time.perf_counter() - start) * 1e3)
    times_ms = times_ms[args.warmup :]
    print(
        json.dumps(
            {
                "label": args.label,
                "shape": args.shape,
                "times_ms": times_ms,
                "min_ms": min(times_ms),
                "median_ms": statistics.median(times_ms),
                "tokens": BATCH * BLOCK,
                "parameters": sum(p.numel() for p in model.parameters()),
                "first_loss": losses[0],
                "last_loss": losses[-1],
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
