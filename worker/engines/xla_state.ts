import type { StepScalars } from "../../shared/schedule.ts";
import { hashHex } from "../kernels/block_hash.ts";
import { type AdamWOptions, adamwScalars, decayRanges } from "../optimizer/adamw.ts";
import type { ResidentState } from "./engine.ts";
import type { PjrtBuffer, PjrtClient, PjrtProgram } from "./pjrt.ts";
import { adamwProgram } from "./xla_adamw.ts";
import { compileXla } from "./xla_cache.ts";
import { hashProgram } from "./xla_hash.ts";
import type { XlaTarget } from "./xla_program.ts";
import { compilerOptions } from "./xla_plugin.ts";

/** Parameters and moments on XLA's device. A step gives their memory on to the updated ones: nothing is copied. */
export class XlaState implements ResidentState {
  /** Parameters, m and v; undefined while the arena's are newer. */
  #buffers: readonly PjrtBuffer[] | undefined;

  private constructor(
    private readonly client: PjrtClient,
    private readonly programs: { readonly update: PjrtProgram; readonly hash: PjrtProgram },
    private readonly options: AdamWOptions,
  ) {}

  static async create({ client, device, threads }: XlaTarget, options: AdamWOptions): Promise<XlaState> {
    const { regions: { parameters: { length: n } }, tensors, config } = options;
    const compile = (code: string) =>
      compileXla({ client, device, options: compilerOptions(device, threads), code });
    const programs = {
      update: await compile(adamwProgram(n, { ...config, ranges: decayRanges(tensors) })),
      hash: await compile(hashProgram([n, n, n])),
    };
    return new XlaState(client, programs, options);
  }

  /** The parameters as programs take them, until the next update. */
  parameters(): PjrtBuffer {
    return this.#current()[0];
  }

  invalidate(): void {
    for (const buffer of this.#buffers ?? []) buffer[Symbol.dispose]();
    this.#buffers = undefined;
  }

  async apply(scalars: StepScalars, clipScale: number): Promise<void> {
    const { regions: { gradient }, config } = this.options;
    const { decay, stepSize, root } = adamwScalars(scalars, config);
    const before = this.#current();
    using given = new DisposableStack();
    const inputs = [
      this.client.upload(gradient.view, [gradient.length], { inPlace: true }),
      this.client.upload(Float32Array.of(clipScale, decay, stepSize, root), [4]),
    ];
    inputs.forEach((input) => given.use(input));
    const updated = await this.programs.update.execute([...before, ...inputs], before.length);
    this.invalidate();
    this.#buffers = updated;
  }

  async hash(): Promise<string> {
    const [hash] = await this.programs.hash.execute(this.#current(), 1);
    using read = hash;
    return hashHex(await read.read(new Uint32Array(4)));
  }

  async download(): Promise<void> {
    if (this.#buffers === undefined) return;
    const { parameters, m, v } = this.options.regions;
    await Promise.all([parameters, m, v].map(({ view }, i) => this.#buffers?.[i].read(view)));
  }

  [Symbol.dispose](): void {
    this.invalidate();
    this.programs.update[Symbol.dispose]();
    this.programs.hash[Symbol.dispose]();
  }

  #current(): readonly PjrtBuffer[] {
    const { parameters, m, v } = this.options.regions;
    return this.#buffers ??= [parameters, m, v].map(({ view, length }) => this.client.upload(view, [length]));
  }
}
