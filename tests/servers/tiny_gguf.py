"""A language model of half a megabyte, and LoRA adapters for it: random weights, real files.

Kept to a JSON schema by its server it writes nonsense that fits. That is enough for everything but quality: loading,
swapping, health, time-outs, schemas, token counts. The same seed makes the same bytes.

It ends what it writes, and soon: signs that close something weigh more than chance, white space weighs less.
"""

import json
import struct
from pathlib import Path

import gguf
import numpy as np

WIDTH, BLOCKS, HEADS, FORWARD = 64, 2, 4, 128
CONTEXT = 16_384
RANK = 4
WORDS = ("in", "er", "on", "re", "at", "ti", "en", "or", "an", "es", "is", "it", "al", "ar", "st", "nd", "to", "ng")
SPECIAL = ("<|start|>", "<|end|>")
# By how much a token is likelier than chance, in standard deviations; white space as GPT-2 writes it.
LIKELIER = {'"': 4.0, "}": 3.5, "]": 3.0, ",": 2.0, "Ġ": -4.0, "Ċ": -4.0, "ĉ": -4.0, "E": -4.0, "e": -4.0, "-": -4.0}
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|start|>' + message['role'] + '\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\\n' }}{% endif %}"
)
# Every state holds this much of one direction, so that a token can be made likelier whatever came before it.
CONSTANT = 4.0
Weights = dict[str, np.ndarray]


def write_model(path: Path, seed: int = 0) -> Path:
    """Write a llama GGUF; returns its path."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"tiny-{seed}")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _write_tokenizer(writer)
    for name, weights in _model(seed).items():
        writer.add_tensor(name, weights)
    return _finish(writer, path)


def write_adapter_gguf(path: Path, seed: int = 1) -> Path:
    """Write a LoRA for `write_model`'s models as a GGUF; returns its path."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    for (block, part), (down, up) in _adapter(seed).items():
        writer.add_tensor(f"blk.{block}.attn_{part}.weight.lora_a", down)
        writer.add_tensor(f"blk.{block}.attn_{part}.weight.lora_b", up)
    return _finish(writer, path)


def write_adapter_folder(folder: Path, seed: int = 1) -> Path:
    """Write a LoRA as peft does: `adapter_model.safetensors` and `adapter_config.json`; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "tiny",
        "r": RANK,
        "lora_alpha": RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj", "v_proj"],
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    tensors: Weights = {}
    for (block, part), (down, up) in _adapter(seed).items():
        name = f"base_model.model.model.layers.{block}.self_attn.{part}_proj"
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = down, up
    _write_safetensors(folder / "adapter_model.safetensors", tensors)
    return folder


def _tokens() -> tuple[list[str], list[str]]:
    """All tokens in the order of their ids, and the merges that make the longer ones. GPT-2 writes bytes as letters."""
    bytes_ = list(_letters_of_bytes())
    return [*bytes_, *WORDS, *SPECIAL], [f"{word[0]} {word[1]}" for word in WORDS]


def _letters_of_bytes() -> list[str]:
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) if byte in plain else chr(256 + rest.index(byte)) for byte in range(256)]


def _write_tokenizer(writer: gguf.GGUFWriter) -> None:
    tokens, merges = _tokens()
    normal = len(tokens) - len(SPECIAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * normal + [gguf.TokenType.CONTROL] * len(SPECIAL))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(normal)
    writer.add_eos_token_id(normal + 1)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _model(seed: int) -> Weights:
    tokens, _ = _tokens()
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * scale).astype(np.float32)

    ones = np.ones(WIDTH, np.float32)
    embedding, output = matrix(len(tokens), WIDTH, 1.0), matrix(len(tokens), WIDTH, 0.25)
    embedding[:, 0], output[:, 0] = CONSTANT, 0.0
    for token, deviations in LIKELIER.items():
        output[tokens.index(token), 0] = deviations * 0.5
    weights = {"token_embd.weight": embedding, "output.weight": output, "output_norm.weight": ones}
    for block in range(BLOCKS):
        prefix = f"blk.{block}."
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights[f"{prefix}{part}.weight"] = matrix(WIDTH, WIDTH, 0.1)
        weights[f"{prefix}ffn_gate.weight"] = matrix(FORWARD, WIDTH, 0.1)
        weights[f"{prefix}ffn_up.weight"] = matrix(FORWARD, WIDTH, 0.1)
        weights[f"{prefix}ffn_down.weight"] = matrix(WIDTH, FORWARD, 0.1)
        weights[f"{prefix}attn_norm.weight"] = weights[f"{prefix}ffn_norm.weight"] = ones
    return weights


def _adapter(seed: int) -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
    """(block, q or v) -> (down, up), strong enough to change what the model writes."""
    random = np.random.default_rng(seed)
    return {
        (block, part): (
            random.standard_normal((RANK, WIDTH)).astype(np.float32),
            random.standard_normal((WIDTH, RANK)).astype(np.float32),
        )
        for block in range(BLOCKS)
        for part in "qv"
    }


def _finish(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_safetensors(path: Path, tensors: Weights) -> None:
    """The format is a length, a JSON header and the bytes: https://github.com/huggingface/safetensors#format."""
    header, data = {}, bytearray()
    for name, weights in sorted(tensors.items()):
        begin = len(data)
        data += weights.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(weights.shape), "data_offsets": [begin, len(data)]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)
