import { LockstepError } from "../../shared/errors.ts";
import { Context } from "../../shared/zmq/socket.ts";
import { rendezvousOf } from "../launch/rendezvous.ts";
import { type Check, type DoctorContext, failure, type Finding, ok, warning } from "./check.ts";

/** Whether the coordinator can listen where the run meets, on this machine. */
export function portCheck(): Check {
  return { name: "port", run: checkPort };
}

async function checkPort({ config }: DoctorContext): Promise<Finding> {
  const { bind, at } = rendezvousOf(config);
  if (bind === undefined || at === null) return ok("none needed: workers meet in a folder of this user");
  try {
    await bindOnce(bind);
    return ok(`${bind} is free`);
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== "E_ZMQ") throw error;
    if (/in use/i.test(error.message)) {
      return failure(
        `another process listens on ${bind}`,
        `end it (ss -ltnp "sport = :${at.port}" names it), or take another port in --rdzv_endpoint or --master_port`,
      );
    }
    return warning(`not tried: ${error.message}`, "run doctor on the machine that will coordinate");
  }
}

async function bindOnce(endpoint: string): Promise<void> {
  const context = new Context();
  try {
    context.socket("router", { linger: 0 }).bind(endpoint);
  } finally {
    await context.close();
  }
}
