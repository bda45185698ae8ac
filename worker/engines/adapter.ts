import { z } from "zod";

/** A WebGPU adapter as it presents itself. */
export const adapterSchema = z.strictObject({
  /** The device's name: "llvmpipe (LLVM 15.0.6, 256 bits)". */
  name: z.string(),
  /** Whether it computes on the CPU. */
  software: z.boolean(),
  /** The largest buffer that a shader may bind, in bytes. */
  bufferBytes: z.number(),
});

export type Adapter = z.infer<typeof adapterSchema>;

/** Which of several GPUs is asked for; TensorFlow.js asks so too. */
export const POWER_PREFERENCE = "high-performance";

/** Names under which Vulkan, OpenGL and D3D12 compute on a CPU. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|microsoft basic render/i;

/** The adapter that this process gets; null where none answers. */
export async function readAdapter(): Promise<Adapter | null> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: POWER_PREFERENCE });
  if (!adapter) return null;
  const { info, limits } = adapter;
  const name = info.description || [info.vendor, info.architecture, info.device].filter(Boolean).join(" ");
  return {
    name,
    software: isSoftware({ name, isFallbackAdapter: info.isFallbackAdapter }),
    bufferBytes: limits.maxStorageBufferBindingSize,
  };
}

/** Whether an adapter computes on the CPU. Not every driver admits to it. */
export function isSoftware(
  { name, isFallbackAdapter }: { name: string; isFallbackAdapter: boolean },
): boolean {
  return isFallbackAdapter || SOFTWARE.test(name);
}

/** `NVIDIA L4, power preference high-performance, buffers of up to 2,048 MiB`; software is called so. */
export function describeAdapter({ name, software, bufferBytes }: Adapter): string {
  const what = software ? `${name}, a software adapter that computes on the CPU` : name;
  const mib = Math.floor(bufferBytes / 2 ** 20).toLocaleString("en-US");
  return `${what}, power preference ${POWER_PREFERENCE}, buffers of up to ${mib} MiB`;
}
