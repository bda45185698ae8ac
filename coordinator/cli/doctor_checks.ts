import type { RunConfig } from "../../shared/config/run_config.ts";
import { LockstepError } from "../../shared/errors.ts";
import { ExposedMemory, MappedMemory } from "../../worker/collective/shared_memory.ts";
import { describeAdapter } from "../../worker/engines/adapter.ts";
import { isNativeCodeAllowed } from "../../worker/engines/choose_engine.ts";
import { fetchEngine } from "../../worker/engines/fetch_engine.ts";
import { readMachine } from "../../worker/engines/machine.ts";
import { probeAdapter, probeSpeed } from "../../worker/engines/probe.ts";
import type { Check, PlannedEngine } from "../doctor/check.ts";
import { dataCheck } from "../doctor/data_check.ts";
import { denoCheck } from "../doctor/deno_check.ts";
import { diskCheck } from "../doctor/disk_check.ts";
import { endpointCheck } from "../doctor/endpoint_check.ts";
import { type Computed, engineCheck } from "../doctor/engine_check.ts";
import { filesCheck } from "../doctor/files_check.ts";
import { gpuCheck, type Gpus } from "../doctor/gpu_check.ts";
import { keysCheck } from "../doctor/keys_check.ts";
import { libzmqCheck } from "../doctor/libzmq_check.ts";
import { readMachineLimits } from "../doctor/machine_limits.ts";
import { measure } from "../doctor/measure_client.ts";
import { memoryCheck } from "../doctor/memory_check.ts";
import { memberKeysIn } from "../doctor/member_keys.ts";
import { portCheck } from "../doctor/port_check.ts";
import { shmCheck } from "../doctor/shm_check.ts";
import { workersCheck } from "../doctor/workers_check.ts";
import { rendezvousEndpoint, rendezvousOf } from "../launch/rendezvous.ts";
import { roleOf } from "../launch/role.ts";

export interface DoctorChecksOptions {
  /** HOST:PORT of a run, or of another node's doctor, to speak to. */
  readonly endpoint: string | null;
  /** Whether a person has named where the run meets: then somebody listens there, or it is a mistake. */
  readonly namesMeeting: boolean;
}

/** Every check of this machine for a run of `config`, in the order in which they are told. */
export async function doctorChecks(config: RunConfig, options: DoctorChecksOptions): Promise<Check[]> {
  const limits = await readMachineLimits();
  const read = () => Promise.resolve(limits);
  return [
    denoCheck(),
    libzmqCheck(),
    engineCheck({ compute }),
    gpuCheck({ read: readGpus }),
    workersCheck(),
    memoryCheck({ read }),
    shmCheck({ share: shareMemory, read }),
    filesCheck({ read }),
    diskCheck(),
    dataCheck(),
    keysCheck(),
    ...await meetingChecks(config, options),
  ];
}

/** A coordinator listens, and a node speaks to it. */
async function meetingChecks(
  config: RunConfig,
  { endpoint, namesMeeting }: DoctorChecksOptions,
): Promise<Check[]> {
  const asked = endpoint === null ? [] : [speakTo(endpoint, { config, isExpected: true })];
  try {
    const role = await roleOf({ ...config, patience: 0 });
    if (role === "coordinator") return [portCheck(), ...asked];
    const { at } = rendezvousOf(config);
    if (at === null || endpoint !== null) return asked;
    return [speakTo(`${at.host}:${at.port}`, { config, isExpected: namesMeeting })];
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code === "E_CONFIG") throw error;
    if (error.code === "E_KEY") return asked; // the check of the keys tells
    return [{ name: "endpoint", run: () => Promise.reject(error) }, ...asked];
  }
}

function speakTo(at: string, { config, isExpected }: { config: RunConfig; isExpected: boolean }): Check {
  const { keys, insecure } = config;
  return endpointCheck({
    at,
    isExpected,
    async measure() {
      const address = rendezvousEndpoint(at, { keys: keys !== null, insecure });
      return await measure(address, { keys: keys === null ? undefined : await memberKeysIn(keys) });
    },
  });
}

async function compute({ name, device }: PlannedEngine): Promise<Computed> {
  if (Deno.permissions.querySync({ name: "run", command: Deno.execPath() }).state !== "granted") {
    return { works: null, why: "--allow-run is denied" };
  }
  return await probeSpeed({ engine: name, device }, { runOptions: await fetchEngine(name) });
}

async function readGpus(): Promise<Gpus> {
  const { nvidiaGpus: nvidia, nvidiaDriver: driver, noGpu: none } = await readMachine();
  if (none !== null) return { nvidia, driver, adapter: null, none };
  const found = await probeAdapter();
  const adapter = "answer" in found && found.answer !== null && !found.answer.software
    ? describeAdapter(found.answer)
    : null;
  return { nvidia, driver, adapter, none };
}

/** Shows a page of memory as a worker does, and maps it as another one would: null, or why that is not possible. */
function shareMemory(): string | null {
  if (!isNativeCodeAllowed()) return "--allow-ffi is denied";
  const exposed = ExposedMemory.expose(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));
  if (exposed === null) return "the system gives no anonymous files";
  const mapped = MappedMemory.map(exposed.offer);
  mapped?.unmap();
  exposed.close();
  return mapped === null ? "what one process shows, another may not open" : null;
}
