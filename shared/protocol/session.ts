import type { Envelope } from "./messages.ts";

/** Without any confirmation for so long, what is on its way is sent again, in ms: less than from BEAT to BEAT. */
const RESEND_MS = 800;

/** So many bytes of it, and what exceeds them: a link that is only slow must not be filled with copies. */
const RESEND_BYTES = 256 << 10;

/** A sender's pieces wait once so many bytes are on their way. */
const WINDOW_BYTES = 32 << 20;

interface Unacknowledged<M> {
  readonly sealed: M & Envelope;
  readonly sentAt: number;
}

/**
 * One side of a conversation whose transport may lose, repeat or delay messages: what it delivers is whole, once and in
 * order, or the conversation ends. Messages are numbered and kept until the other side has said that they arrived; who sees
 * the other behind sends again. A pure state: it knows no socket and no clock.
 */
export class Session<Out extends object, In extends object> {
  #sent = 0;
  #received = 0;
  readonly #unacknowledged: Unacknowledged<Out>[] = [];
  #bytes = 0;
  /** Whether anything was confirmed since `overdue` was asked last. */
  #hasMoved = false;
  /** Since when nothing was confirmed, or sent again. */
  #idleSince = 0;
  readonly #waiting: (() => void)[] = [];

  /** `id` is 32 hex digits that no other session has. */
  constructor(readonly id: string) {}

  /** Numbers a message and keeps it. */
  seal(message: Out, now: number): Out & Envelope {
    const sealed = { ...message, session: this.id, seq: ++this.#sent, ack: this.#received };
    this.#unacknowledged.push({ sealed, sentAt: now });
    this.#bytes += sizeOf(message);
    return sealed;
  }

  /** A message that may get lost. */
  sealLoose(message: Out): Out & Envelope {
    return { ...message, session: this.id, seq: 0, ack: this.#received };
  }

  /** Resolves while not too many bytes are on their way: what sends much waits for it. */
  room(): Promise<void> {
    if (this.#bytes < WINDOW_BYTES) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Takes what arrived: true if it is to be handled, false for one that was handled before or whose turn has not come. */
  accept({ seq, ack }: In & Envelope): boolean {
    this.#acknowledge(ack);
    if (seq === 0) return true;
    if (seq !== this.#received + 1) return false;
    this.#received = seq;
    return true;
  }

  /** What is to be sent again now that the other side has been heard, if it has confirmed nothing for a while. */
  overdue(now: number): (Out & Envelope)[] {
    if (this.#hasMoved) {
      this.#hasMoved = false;
      this.#idleSince = now;
    }
    const [oldest] = this.#unacknowledged;
    if (oldest === undefined || now - Math.max(oldest.sentAt, this.#idleSince) < RESEND_MS) return [];
    this.#idleSince = now;
    let bytes = 0;
    const missed = this.#unacknowledged.findIndex(({ sealed }) => (bytes += sizeOf(sealed)) >= RESEND_BYTES);
    const again = missed < 0 ? this.#unacknowledged : this.#unacknowledged.slice(0, missed + 1);
    return again.map(({ sealed }) => ({ ...sealed, ack: this.#received }));
  }

  /** How many messages arrived: the other side waits for news of it where little is sent the other way. */
  get received(): number {
    return this.#received;
  }

  #acknowledge(ack: number): void {
    while (this.#unacknowledged.length > 0 && this.#unacknowledged[0].sealed.seq <= ack) {
      const entry = this.#unacknowledged.shift();
      this.#hasMoved = true;
      if (entry !== undefined) this.#bytes -= sizeOf(entry.sealed);
    }
    if (this.#bytes < WINDOW_BYTES) { for (const resolve of this.#waiting.splice(0)) resolve(); }
  }
}

/** Whatever weighs: the rest of a message is small. */
function sizeOf(message: object): number {
  return "bytes" in message && message.bytes instanceof Uint8Array ? message.bytes.length : 0;
}

/** A name for a new session. */
export function newSessionId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
