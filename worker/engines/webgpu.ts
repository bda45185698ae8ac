import type { ModelConfig } from "../../shared/config/model_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { queryBlocks } from "../model/ops.ts";
import { EagerEngine } from "./eager.ts";
import { ENGINE_PACKAGES } from "./engine_packages.ts";
import type { BatchShape, Engine, EngineOptions, Trainer } from "./engine.ts";

/** TensorFlow.js op by op on Deno's own WebGPU: any vendor's GPU, no CUDA. Throws E_ENGINE where there is no adapter. */
export async function open(options: EngineOptions): Promise<Engine> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new LockstepError(
      "E_ENGINE",
      "Cannot use the engine webgpu as no adapter answers: a GPU with a Vulkan, Metal or D3D12 driver is required (libvulkan on Linux)",
    );
  }
  await import(ENGINE_PACKAGES.webgpu);
  return new WebGpuEngine(options, adapter.limits.maxStorageBufferBindingSize);
}

class WebGpuEngine extends EagerEngine {
  constructor(private readonly given: EngineOptions, private readonly limitBytes: number) {
    super({ name: "webgpu", device: "webgpu", backend: "webgpu" }, given);
  }

  /** Throws E_MEMORY if a tensor of the step is larger than the device binds, with the batch size that would fit. */
  override trainer(shape: BatchShape): Promise<Trainer> {
    checkLimit(this.given.model.config, shape, this.limitBytes);
    return super.trainer(shape);
  }
}

/** Throws E_MEMORY unless every tensor of a training step fits into one buffer of `limitBytes`. */
export function checkLimit(config: ModelConfig, { batchSize, length }: BatchShape, limitBytes: number): void {
  const largest = largestTensorBytes(config, { batchSize, length });
  if (largest <= limitBytes) return;
  const fits = Array.from({ length: batchSize }, (_, i) => batchSize - i)
    .find((size) => largestTensorBytes(config, { batchSize: size, length }) <= limitBytes);
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  throw new LockstepError(
    "E_MEMORY",
    `Cannot train with batch_size ${batchSize} on the engine webgpu: a tensor of ${
      mib(largest)
    } is needed and a buffer holds ${mib(limitBytes)}; ${
      fits === undefined ? "a smaller model or block_size is required" : `batch_size ${fits} fits`
    }`,
  );
}

/** Bytes of the largest tensor of a step: logits, the MLP's hidden state, a block of attention, or a weight. */
function largestTensorBytes(config: ModelConfig, { batchSize, length }: BatchShape): number {
  const { n_head, n_embd, vocab_size } = config;
  const [{ end }] = queryBlocks(length);
  const rows = batchSize * length;
  const numbers = [
    rows * vocab_size,
    rows * 4 * n_embd,
    batchSize * n_head * end * length,
    vocab_size * n_embd,
    4 * n_embd * n_embd,
  ];
  return 4 * Math.max(...numbers);
}
