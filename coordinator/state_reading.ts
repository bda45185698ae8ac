import type { Report } from "../shared/protocol/messages.ts";
import { PIECE_BYTES, piecesToAsk } from "../shared/protocol/snapshot_pieces.ts";
import type { Activity } from "./activity.ts";
import type { Group } from "./group.ts";

export interface ReadStateOptions {
  /** Bytes of the whole state. */
  readonly bytes: number;
  /** Takes a piece; called one after the other, in order. */
  onPiece(piece: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** Reads the state at the group's position from one member, and from another one where that is lost. All stand still meanwhile. */
export function readState(group: Group, options: ReadStateOptions): Promise<void> {
  const reading = new StateReading(group, options);
  group.run(reading);
  return reading.outcome.promise.finally(() => group.done());
}

class StateReading implements Activity {
  readonly outcome = Promise.withResolvers<void>();
  readonly #count: number;
  #donor: string | null = null;
  /** The next piece to ask for, and the next to be taken. */
  #asked = 0;
  #taken = 0;
  #taking: Promise<void> = Promise.resolve();

  constructor(private readonly group: Group, private readonly options: ReadStateOptions) {
    this.#count = Math.ceil(options.bytes / PIECE_BYTES);
  }

  start(): void {
    this.#donor = this.group.ids[0] ?? null;
    this.#asked = this.#taken;
    this.#ask();
  }

  take(from: string, report: Report): void {
    if (report.type !== "SYNC_DATA" || from !== this.#donor || report.index !== this.#taken) return;
    const piece = new Uint8Array(report.bytes);
    const isLast = ++this.#taken === this.#count;
    this.#taking = this.#taking.then(() => this.options.onPiece(piece)).then(
      () => isLast ? this.#finish() : this.#ask(),
      (error) => this.outcome.reject(error),
    );
  }

  lost(id: string): boolean {
    if (id !== this.#donor || this.group.ids.length === 0) return this.group.ids.length === 0;
    this.start();
    return false;
  }

  fail(error: unknown): void {
    this.outcome.reject(error);
  }

  unfinished(): readonly string[] {
    return this.#donor === null ? [] : [this.#donor];
  }

  #ask(): void {
    const { epoch, generation, position: { step } } = this.group;
    const index = this.#asked, pieces = piecesToAsk({ asked: index, taken: this.#taken, count: this.#count });
    if (this.#donor === null || pieces === 0) return;
    this.#asked += pieces;
    this.group.send(this.#donor, { type: "SYNC_GET", epoch, generation, step, index, pieces });
  }

  #finish(): void {
    this.outcome.resolve();
  }
}
