import { LockstepError } from "../../shared/errors.ts";
import { type Check, failure, type Finding, ok, type RunPlan, warning } from "./check.ts";
import type { Measurement } from "./measure_client.ts";

export interface EndpointCheckOptions {
  /** HOST:PORT as it was given. */
  readonly at: string;
  /** Whether somebody must listen there already; otherwise it may be that the run has not begun. */
  readonly isExpected: boolean;
  measure(): Promise<Measurement>;
}

/** From here on the lines of several machines' logs are hard to put in order, in ms. */
const SKEW_MS = 500;
/** From here on times of files on a shared disk mislead, in ms. */
const WRONG_CLOCK_MS = 10_000;
/** A gigabit network gives 117 MB/s: with less, steps wait for gradients, in bytes a second. */
const SLOW = 100e6;
const BYTES_OF_A_NUMBER = 4;

/** Whoever listens at an endpoint: whether it answers and admits the keys, how far away it is, and how fast. */
export function endpointCheck({ at, isExpected, measure }: EndpointCheckOptions): Check {
  return {
    name: "endpoint",
    async run({ plan }) {
      try {
        return await judge(await measure(), { at, plan });
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        const found = error.code === "E_LINK" && !isExpected ? warning : failure;
        return found(`${error.code}: ${error.message}`, fixOf(error, at));
      }
    },
  };
}

function fixOf({ code }: LockstepError, at: string): string {
  if (code === "E_KEY") return "give the folder with the keys of that run with --keys";
  return `start the coordinator, or there lockstep doctor --endpoint=${at} --serve; check its name, the port and firewalls`;
}

async function judge(
  { roundTripMs, skewMs, up, down }: Measurement,
  { at, plan }: { at: string; plan: RunPlan },
): Promise<Finding> {
  const roundTrip = `${at} answers in ${roundTripMs.toFixed(2)} ms`;
  if (skewMs === null || up === null || down === null) {
    return ok(
      `${roundTrip} and admits the keys; a run listens there, so bandwidth and clock are not measured`,
    );
  }
  const skew = `its clock is ${describeSkew(skewMs)}`;
  const speed = `${(up / 1e9).toFixed(2)} GB/s there, ${
    (down / 1e9).toFixed(2)
  } GB/s back${await gradientTime(
    plan,
    Math.min(up, down),
  )}`;
  const detail = [roundTrip, skew, speed].join("; ");
  const setClock = "set both clocks: chrony or systemd-timesyncd (timedatectl set-ntp true)";
  if (Math.abs(skewMs) >= WRONG_CLOCK_MS) return failure(detail, setClock);
  if (Math.abs(skewMs) >= SKEW_MS) return warning(detail, setClock);
  if (Math.min(up, down) >= SLOW) return ok(detail);
  return warning(detail, "use a faster link between the nodes, or raise --gradient_accumulation_steps");
}

function describeSkew(ms: number): string {
  const seconds = (Math.abs(ms) / 1000).toFixed(3);
  return Math.abs(ms) < 1 ? "the same within 1 ms" : `${seconds} s ${ms > 0 ? "ahead" : "behind"}`;
}

/** What the model's gradient would take; nothing where the model is not known. */
async function gradientTime(plan: RunPlan, bytesPerSecond: number): Promise<string> {
  const needs = await plan.needs().catch(() => null); // the check of memory tells
  if (needs === null) return "";
  const seconds = needs.parameters * BYTES_OF_A_NUMBER / bytesPerSecond;
  return `, a gradient in ${(1000 * seconds).toFixed(1)} ms`;
}
