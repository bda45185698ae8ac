import type { WatchedRun } from "./watched_run.ts";

/** How often files are looked at while somebody watches, in ms. */
const LOOK_MS = 1_000;
/** A viewer that takes nothing for so many messages is sent away; a browser comes back by itself, and asks for all. */
const WAITING_MESSAGES = 64;
const MOST_VIEWERS = 256;
/** So often, in looks, a silent feed shows that it lives. */
const BEAT_LOOKS = 15;

type Viewer = ReadableStreamDefaultController<Uint8Array>;

/** Tells everybody who watches what is new: files are read once, and each message is made once, however many they are. */
export class Feed {
  readonly #viewers = new Set<Viewer>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #looking: Promise<void> = Promise.resolve();
  #looks = 0;
  /** By run: its state as it was told last. */
  readonly #states = new Map<WatchedRun, string>();

  constructor(private readonly runs: readonly WatchedRun[]) {}

  get viewers(): number {
    return this.#viewers.size;
  }

  /** A stream of server-sent events; null where there are too many already. */
  open(): Response | null {
    if (this.#viewers.size >= MOST_VIEWERS) return null;
    let viewer: Viewer;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        viewer = controller;
        viewer.enqueue(encode(": watching\n\n"));
        this.#viewers.add(viewer);
        this.#timer ??= setInterval(() => this.#looking = this.#looking.then(() => this.#look()), LOOK_MS);
      },
      cancel: () => this.#leave(viewer),
    }, { highWaterMark: WAITING_MESSAGES });
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  }

  /** Ends all streams. */
  async close(): Promise<void> {
    for (const viewer of [...this.#viewers]) this.#end(viewer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    for (const [index, run] of this.runs.entries()) {
      const news = await run.history.refresh();
      if (news !== null) this.#tell("news", { run: index, ...news });
      const state = await run.state(), told = JSON.stringify(state);
      if (told !== this.#states.get(run)) this.#tell("state", { run: index, ...state });
      this.#states.set(run, told);
    }
    if (++this.#looks % BEAT_LOOKS === 0) this.#send(encode(": still here\n\n"));
  }

  #tell(event: string, data: Record<string, unknown>): void {
    this.#send(encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
  }

  #send(message: Uint8Array): void {
    for (const viewer of [...this.#viewers]) {
      if ((viewer.desiredSize ?? 0) <= 0) this.#end(viewer);
      else viewer.enqueue(message);
    }
  }

  #end(viewer: Viewer): void {
    this.#leave(viewer);
    viewer.close();
  }

  #leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
