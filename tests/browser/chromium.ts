/** Drives a headless Chromium by its DevTools protocol: a page, and what its JavaScript says. */
import { join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** The first Chromium on this machine's PATH; null where there is none. */
export async function findChromium(): Promise<string | null> {
  for (const name of NAMES) {
    for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
      const path = join(folder, name);
      if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
    }
  }
  return null;
}

/** A page in a browser of its own; `await using` ends the browser. */
export class Page implements AsyncDisposable {
  #id = 0;
  readonly #waiting = new Map<number, (answer: Answer) => void>();

  private constructor(
    private readonly browser: Deno.ChildProcess,
    private readonly profile: string,
    private readonly socket: WebSocket,
  ) {
    socket.onmessage = ({ data }) => {
      const answer: Answer = JSON.parse(data);
      this.#waiting.get(answer.id)?.(answer);
    };
  }

  /** Opens `url` in the browser at `path`. */
  static async open(path: string, url: string): Promise<Page> {
    const profile = await Deno.makeTempDir();
    const browser = new Deno.Command(path, {
      args: [
        "--headless",
        "--no-sandbox", // which Chromium refuses to root
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        `--user-data-dir=${profile}`,
        url,
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    const socket = new WebSocket(await until(() => pageSocket(profile, url)));
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    return new Page(browser, profile, socket);
  }

  /** The value of a JavaScript expression in the page, as JSON can carry it. */
  async evaluate(expression: string): Promise<unknown> {
    const id = ++this.#id;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    const params = { expression, returnByValue: true, awaitPromise: true };
    this.socket.send(JSON.stringify({ id, method: "Runtime.evaluate", params }));
    const { result } = await answered;
    this.#waiting.delete(id);
    if (result.exceptionDetails !== undefined) throw new Error(result.exceptionDetails.text);
    return result.result?.value;
  }

  /** Waits until an expression is true in the page, at most 60 seconds. */
  async until(expression: string): Promise<void> {
    await until(async () => await this.evaluate(expression) === true ? true : undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.socket.onclose = resolve);
    this.browser.kill("SIGTERM");
    await this.browser.status;
    this.socket.close();
    await closed;
    await Deno.remove(this.profile, { recursive: true });
  }
}

interface Answer {
  readonly id: number;
  readonly result: { readonly result?: { value?: unknown }; readonly exceptionDetails?: { text: string } };
}

/** Where the page of `url` listens, as soon as the browser has written its port. */
async function pageSocket(profile: string, url: string): Promise<string | undefined> {
  const text = await Deno.readTextFile(join(profile, "DevToolsActivePort")).catch(() => "");
  const [port] = text.split("\n");
  if (port === "") return undefined;
  const response = await fetch(`http://127.0.0.1:${port}/json/list`);
  const targets: { url: string; webSocketDebuggerUrl: string }[] = await response.json();
  return targets.find((target) => target.url.startsWith(url))?.webSocketDebuggerUrl;
}

async function until<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const result = await attempt();
    if (result !== undefined) return result;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Nothing happened in the browser for 60 seconds");
}
