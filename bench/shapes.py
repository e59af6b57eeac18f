"""The shapes of bench/run, the one place that states them; step.cpp receives them on its command line."""

BATCH = 8
BLOCK = 256
COMMON = dict(hidden_size=256, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=8, initializer_range=0.02)

# `width` is the FFN width of a dense layer, or of one expert.
SHAPES = {
    "dense": dict(vocab_size=4096, num_experts=1, num_active_experts=1, width=512),
    "e8k1": dict(vocab_size=4096, num_experts=8, num_active_experts=1, width=512),
    "e64k8": dict(vocab_size=4096, num_experts=64, num_active_experts=8, width=64),
    "e8k1_v32k": dict(vocab_size=32000, num_experts=8, num_active_experts=1, width=512),
}
