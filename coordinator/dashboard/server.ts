import type { Hono } from "hono";
import { LockstepError } from "../../shared/errors.ts";
import type { PageEnv } from "./access.ts";
import { Feed } from "./feed.ts";
import { isLoopback } from "./loopback.ts";
import { pageApp } from "./page_app.ts";
import type { PageToken } from "./page_token.ts";
import { WatchedRun } from "./watched_run.ts";

export interface DashboardOptions {
  /** Folders of runs. */
  readonly runs: readonly string[];
  /** Where to listen; beyond loopback a token is required. Default 127.0.0.1. */
  readonly host?: string;
  /** Null takes the first free one from 6006 on; 0 any. */
  readonly port: number | null;
  readonly token: PageToken | null;
}

/** A page that shows runs while they go on, or afterwards. */
export interface Dashboard {
  /** Where a browser finds it. */
  readonly url: string;
  close(): Promise<void>;
}

/** TensorBoard's. */
const FIRST_PORT = 6006;
const PORTS = 100;
const LOOPBACK = "127.0.0.1";

/** Opens the page. Rejects with E_KEY beyond loopback without a token, E_USAGE where the port is taken or cannot be opened. */
export async function openDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { host = LOOPBACK, token } = options;
  if (!isLoopback(host) && token === null) {
    throw new LockstepError(
      "E_KEY",
      `Cannot open the page on ${host} without a token, as other machines reach it: give --token=FILE, or leave out --host`,
    );
  }
  const runs = options.runs.map((path) => new WatchedRun(path));
  await Promise.all(runs.map(({ history }) => history.refresh()));
  const feed = new Feed(runs);
  let app: Hono<PageEnv> | null = null;
  const server = listen({ host, port: options.port }, (request, remoteAddr) => {
    app ??= pageApp({ token, runs, feed, port: server.addr.port });
    return app.fetch(request, { remoteAddr });
  });
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${name}:${server.addr.port}`,
    async close() {
      await feed.close();
      await server.shutdown();
    },
  };
}

type Handler = (request: Request, peer: Deno.Addr) => Response | Promise<Response>;

function listen(
  { host, port }: { host: string; port: number | null },
  handle: Handler,
): Deno.HttpServer<Deno.NetAddr> {
  const last = port ?? FIRST_PORT + PORTS;
  for (let candidate = port ?? FIRST_PORT;; candidate++) {
    try {
      return Deno.serve(
        { hostname: host, port: candidate, onListen() {} },
        (request, { remoteAddr }) => handle(request, remoteAddr),
      );
    } catch (cause) {
      if (cause instanceof Deno.errors.AddrInUse && candidate < last) continue;
      const reason = cause instanceof Deno.errors.AddrInUse
        ? "it is in use"
        : "this machine cannot listen there";
      throw new LockstepError(
        "E_USAGE",
        `Cannot open the page on port ${candidate} of ${host} as ${reason}: give another --port, or none`,
        { cause },
      );
    }
  }
}
