"""Writes format/moments/testdata/orders.txt: the parameters of models of transformers 5.23, in the order of named_parameters, and which of them the
Trainer gives no weight decay (-).

    python .ci/interop/moments_orders.py format/moments/testdata/orders.txt
"""

import logging
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
import transformers

TYPES = ("arcee bloom cohere cohere2 ernie4_5 exaone4 gemma gemma2 gemma3_text glm glm4 gpt2 granite helium hunyuan_v1_dense llama ministral mistral nemotron olmo olmo2 olmo3 phi phi3 qwen2 qwen3 seed_oss smollm3 "
         "stablelm starcoder2").split()
SMALL = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=32, head_dim=4, max_position_embeddings=32,
             n_embd=16, n_layer=2, n_head=4, pad_token_id=0, bos_token_id=0, eos_token_id=0, partial_rotary_factor=1.0, no_rope_layers=[1, 1])

with open(sys.argv[1], "w") as out:
    for kind in TYPES:
        config = transformers.AutoConfig.for_model(kind)
        for key, value in SMALL.items():
            if hasattr(config, key):
                setattr(config, key, value)
        if hasattr(config, "layer_types"):
            config.layer_types = ["full_attention"] * 2
        config.tie_word_embeddings = False
        model = transformers.AutoModelForCausalLM.from_config(config)
        decayed = set(transformers.Trainer.get_decay_parameter_names(None, model))
        print(kind, file=out)
        for name, _ in model.named_parameters():
            print(" ", name, "" if name in decayed else "-", file=out)
