import type { Clock } from "../../shared/clock.ts";

/** Numbers from a seed: small, fast, and the same on every machine (Mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1);
  }

  /** From [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From [low, high). */
  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** A whole number from low to high, both included. */
  int(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)];
  }
}

interface Event {
  readonly at: number;
  /** Events of one moment come in the order in which they were made. */
  readonly order: number;
  readonly run: () => void;
}

/** Microtasks that an event may set off one after the other before the next event comes. */
const TURNS = 40;

/** A clock that goes from event to event, and what happens by it. */
export class World {
  #now = 0;
  #order = 0;
  readonly #heap: Event[] = [];
  readonly trace: string[] = [];

  constructor(readonly dice: Dice, private readonly options: { readonly traces: boolean }) {}

  get now(): number {
    return this.#now;
  }

  /** Notes what happens, for whoever looks into a seed. */
  note(what: () => string): void {
    if (this.options.traces) this.trace.push(`${(this.#now / 1000).toFixed(3).padStart(8)} ${what()}`);
  }

  after(ms: number, run: () => void): void {
    const event = { at: this.#now + ms, order: this.#order++, run };
    const heap = this.#heap;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[i] = heap[parent];
      i = parent;
    }
    heap[i] = event;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Lets time pass until `isOver`, or `untilMs`. */
  async run({ untilMs, isOver }: { untilMs: number; isOver: () => boolean }): Promise<void> {
    while (!isOver()) {
      const event = this.#pop();
      if (event === undefined || event.at > untilMs) return;
      this.#now = event.at;
      event.run();
      for (let turn = 0; turn < TURNS; turn++) await null;
    }
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A process: it can be stopped, go on, and be killed. Whatever reaches it while it is stopped waits. */
export class Process {
  #isAlive = true;
  #isStopped = false;
  #waiting: (() => void)[] = [];

  constructor(private readonly world: World, readonly name: string) {}

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Does something in this process, when it runs. */
  do(task: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isStopped) this.#waiting.push(task);
    else task();
  }

  /** As `do`, after a while. */
  after(ms: number, task: () => void): void {
    this.world.after(ms, () => this.do(task));
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  stop(): void {
    this.#isStopped = true;
  }

  continue(): void {
    this.#isStopped = false;
    for (const task of this.#waiting.splice(0)) this.do(task);
  }

  kill(): void {
    this.#isAlive = false;
    this.#waiting = [];
  }

  /** Its clock: ticks that fall into a stop are one tick at its end, as a system's timers are. */
  get clock(): Clock {
    return {
      now: () => this.world.now,
      every: (ms, task) => {
        let isOn = true;
        let isDue = false;
        const next = () => {
          if (!isOn || !this.#isAlive) return;
          if (!isDue) {
            isDue = true;
            this.do(() => {
              isDue = false;
              if (isOn) task();
            });
          }
          this.world.after(ms, next);
        };
        this.world.after(ms, next);
        return () => void (isOn = false);
      },
    };
  }
}
