/** Options of XLA's compiler, by the names of their flags. */
export type CompilerOptions = Readonly<Record<string, boolean | string>>;

/**
 * A CompileOptionsProto (xla/pjrt/proto/compile_options.proto) for one device: `executable_build_options` (field 3) with
 * `num_replicas` (4) and `num_partitions` (5), both 1, and an entry of `env_option_overrides` (7) for each option.
 */
export function encodeCompileOptions(options: CompilerOptions): Uint8Array<ArrayBuffer> {
  const overrides = Object.entries(options).flatMap(([name, value]) => {
    const override = typeof value === "string" ? bytes(1, text(value)) : [varintKey(2), Number(value)];
    return bytes(7, [...bytes(1, text(name)), ...bytes(2, override)]);
  });
  return Uint8Array.from([...bytes(3, [varintKey(4), 1, varintKey(5), 1]), ...overrides]);
}

const text = (value: string) => [...new TextEncoder().encode(value)];

const varintKey = (field: number) => field << 3;

/** A field that holds a length and so many bytes. */
function bytes(field: number, content: readonly number[]): number[] {
  return [field << 3 | 2, ...varint(content.length), ...content];
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...varint(value >>> 7)];
}
