import type { Faults } from "../../shared/faults.ts";
import type { CoordinatorServer } from "../../shared/protocol/channel.ts";

/**
 * A server with the point "delivered", when the first COMMIT of a step has been handed to the socket: where something is
 * planned for it, nothing else is sent any more.
 */
export function faultyServer(server: CoordinatorServer, faults: Faults): CoordinatorServer {
  let isMute = false;
  return {
    endpoint: server.endpoint,
    set onGone(tell: (from: string) => void) {
      server.onGone = tell;
    },
    async send(to, message) {
      if (isMute) return;
      const step = message.type === "COMMIT" ? message.decided.step : null;
      isMute = step !== null && faults.plans("delivered", step);
      await server.send(to, message);
      if (isMute && step !== null) faults.reach("delivered", step);
    },
    receive: () => server.receive(),
    close: () => server.close(),
  };
}
