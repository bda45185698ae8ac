import { isErrorCode, LockstepError } from "../shared/errors.ts";

/** Methods that another thread offers: plain data in, plain data out. */
// deno-lint-ignore no-explicit-any -- the parameters of any method; each is typed where it is called
export type Methods = Record<string, (...args: any[]) => unknown>;

/** What a thread is asked. */
export interface Call {
  readonly id: number;
  readonly method: string;
  readonly args: unknown[];
}

/** What a thread posts. */
export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { code: string | null; message: string; stack?: string } }
  | { readonly event: unknown };

/** The thread's side: the answer to a call is what the method of that name resolves to. */
export async function answerCall(methods: Methods, { id, method, args }: Call): Promise<Answer> {
  try {
    return { id, result: await methods[method](...args) };
  } catch (error) {
    const code = error instanceof LockstepError ? error.code : null;
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    return { id, error: { code, message, stack } };
  }
}

/** The other side: calls methods of a thread. Errors keep their code. */
export class ThreadCalls<M extends Methods, E> {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 0;

  constructor(url: URL, onEvent: (event: E) => void) {
    this.#thread = new Worker(url, { type: "module" });
    this.#thread.onmessage = ({ data }: MessageEvent<Answer>) => {
      if ("event" in data) return onEvent(data.event as E);
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("error" in data) waiting?.reject(revive(data.error));
      else waiting?.resolve(data.result);
    };
    this.#thread.onerror = (event) => {
      event.preventDefault();
      for (const waiting of this.#waiting.values()) waiting.reject(new Error(event.message));
      this.#waiting.clear();
    };
  }

  call<K extends keyof M & string>(method: K, ...args: Parameters<M[K]>): Promise<Awaited<ReturnType<M[K]>>> {
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#next, waiting);
    this.#thread.postMessage({ id: this.#next++, method, args } satisfies Call);
    return waiting.promise as Promise<Awaited<ReturnType<M[K]>>>;
  }

  terminate(): void {
    this.#thread.terminate();
  }
}

function revive({ code, message, stack }: { code: string | null; message: string; stack?: string }): Error {
  if (code !== null && isErrorCode(code)) return new LockstepError(code, message);
  return Object.assign(new Error(message), { stack });
}
