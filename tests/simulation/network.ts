import type { CoordinatorServer, Received, WorkerChannel } from "../../shared/protocol/channel.ts";
import { Inbox } from "../../shared/protocol/inbox.ts";
import type { FromWorker, ToWorker } from "../../shared/protocol/messages.ts";
import type { Process, World } from "./world.ts";

/** What may go wrong with messages. */
export interface Weather {
  /** One way, in ms. */
  delayMs: [number, number];
  drop: number;
  repeat: number;
  /** Messages that are overtaken by later ones. */
  reorder: number;
}

/** Connects one coordinator with workers, and workers with each other. Messages may be lost, repeated and late. */
export class Network {
  /** Links that are cut, "a>b". The coordinator is "coordinator". */
  readonly #cut = new Set<string>();
  /** When the last message of each way arrives. */
  readonly #arrivedAt = new Map<string, number>();
  #server: { process: Process; inbox: Inbox<Received> } | null = null;
  readonly #workers = new Map<string, { process: Process; inbox: Inbox<ToWorker> }>();

  constructor(private readonly world: World, readonly weather: Weather) {}

  cut(a: string, b: string): void {
    this.#cut.add(`${a}>${b}`);
  }

  mend(a: string, b: string): void {
    this.#cut.delete(`${a}>${b}`);
  }

  isCut(a: string, b: string): boolean {
    return this.#cut.has(`${a}>${b}`);
  }

  /** From now on this process is where workers connect to. */
  serve(process: Process): CoordinatorServer {
    const inbox = new Inbox<Received>();
    const own = { process, inbox };
    this.#server = own;
    return {
      endpoint: "simulated",
      send: (to, message) => {
        if (process.isAlive && this.#server === own) {
          this.#carry("coordinator", to, () => {
            const worker = this.#workers.get(to);
            worker?.process.do(() => worker.inbox.push(message));
          });
        }
        return Promise.resolve();
      },
      receive: () => inbox.receive(),
      close: () => {
        inbox.close();
        return Promise.resolve();
      },
    };
  }

  connect(process: Process): WorkerChannel {
    const inbox = new Inbox<ToWorker>();
    const id = process.name;
    const own = { process, inbox };
    this.#workers.set(id, own);
    return {
      send: (message: FromWorker) => {
        if (process.isAlive && this.#workers.get(id) === own) {
          this.#carry(id, "coordinator", () => {
            const server = this.#server;
            server?.process.do(() => server.inbox.push({ from: id, role: "local", address: null, message }));
          });
        }
        return Promise.resolve();
      },
      receive: () => inbox.receive(),
      close: () => {
        inbox.close();
        return Promise.resolve();
      },
    };
  }

  /** Data between workers: whole and in order, or not at all. */
  carryData(from: string, to: string, arrive: () => void): void {
    if (this.isCut(from, to)) return;
    this.world.after(this.world.dice.between(...this.weather.delayMs), arrive);
  }

  #carry(from: string, to: string, arrive: () => void): void {
    const { dice } = this.world;
    const { drop, repeat, reorder, delayMs } = this.weather;
    if (this.isCut(from, to) || dice.chance(drop)) return this.world.note(() => `lost: ${from} to ${to}`);
    const way = `${from}>${to}`;
    const due = this.world.now + dice.between(...delayMs);
    const inTurn = dice.chance(reorder) ? due : Math.max(due, this.#arrivedAt.get(way) ?? 0);
    this.#arrivedAt.set(way, inTurn);
    this.world.after(inTurn - this.world.now, arrive);
    if (dice.chance(repeat)) this.world.after(dice.between(...delayMs) * 5, arrive);
  }
}
