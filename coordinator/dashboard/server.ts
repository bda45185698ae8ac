import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";
import { connectToRun } from "../steering/connect_to_run.ts";
import { whoIsHere } from "../steering/steering_client.ts";
import { steeringCommands } from "../steering/steering_commands.ts";
import { access, login, maySteer, type PageEnv } from "./access.ts";
import { Feed } from "./feed.ts";
import { pageFile } from "./page_files.ts";
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
  /** What `/metrics` answers Prometheus; without it, nothing. */
  metrics?(): Promise<{ readonly body: string; readonly contentType: string }>;
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
const MAX_BODY_BYTES = 1 << 14;
const MOST_POINTS = 4_000;
const USUAL_POINTS = 1_000;

/** Scripts, styles and requests of its own origin only; nothing can frame it. */
const HEADERS = {
  "content-security-policy": [
    ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"],
    ...["img-src 'self' data:", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"],
  ].join("; "),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

const commandSchema = z.strictObject({
  name: z.string().max(128),
  words: z.array(z.string().max(256)).max(16),
});

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
    app ??= pageApp({ ...options, port: server.addr.port }, { runs, feed });
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

function pageApp(
  { token, port, metrics }: DashboardOptions & { port: number },
  { runs, feed }: { runs: readonly WatchedRun[]; feed: Feed },
): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  const run = (index: string) => /^\d{1,6}$/.test(index) ? runs[Number(index)] : undefined;
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value);
  });
  app.use(access({ token, port }), bodyLimit({ maxSize: MAX_BODY_BYTES }));
  app.get("/", async (c) => await pageFile("index.html") ?? c.notFound());
  app.get("/login", async (c) => await pageFile("login.html") ?? c.notFound());
  app.post("/login", (c) => login(c, { token, port }));
  app.get("/assets/:name", async (c) => await pageFile(c.req.param("name")) ?? c.notFound());
  app.get("/metrics", async (c) => {
    if (metrics === undefined) return c.notFound();
    const { body, contentType } = await metrics();
    return c.body(body, 200, { "content-type": contentType });
  });
  app.get("/api/runs", async (c) => c.json(await Promise.all(runs.map((one) => one.summary()))));
  app.get("/api/runs/:run", async (c) => {
    const one = run(c.req.param("run"));
    if (one === undefined) return c.notFound();
    await one.history.refresh();
    return c.json(await one.details());
  });
  app.get("/api/runs/:run/curves", async (c) => {
    const one = run(c.req.param("run"));
    if (one === undefined) return c.notFound();
    await one.history.refresh();
    const range = {
      from: numberIn(c.req.query("from"), 0),
      to: numberIn(c.req.query("to"), Infinity),
      points: Math.min(MOST_POINTS, numberIn(c.req.query("points"), USUAL_POINTS)),
    };
    return c.json({ metrics: one.history.metrics(range), estimates: one.history.estimates(range) });
  });
  app.get("/api/events", (c) => feed.open() ?? c.text("Too many watch already\n", 503));
  app.get("/api/commands", async (c) =>
    c.json({
      maySteer: await maySteer(c, { token, port }),
      commands: steeringCommands.map(({ run: _, ...command }) => command),
    }));
  app.post("/api/runs/:run/commands", async (c) => {
    const one = run(c.req.param("run"));
    if (one === undefined) return c.notFound();
    if (
      !c.req.header("content-type")?.startsWith("application/json") || c.req.header("origin") === undefined
    ) {
      return c.text("A command comes from the page itself, as JSON\n", 415);
    }
    if (!await maySteer(c, { token, port })) {
      return c.json({ code: "E_KEY", message: "Cannot steer the run as it belongs to another user" }, 403);
    }
    const command = commandSchema.safeParse(await c.req.json().catch(() => null));
    if (!command.success) return c.json({ code: "E_DECODE", message: "This is no command" }, 400);
    return await steer(one, { ...command.data, remote: c.env.remoteAddr })
      .then((answer) => c.json(answer), (error) => c.json(refusal(error), 409));
  });
  return app;
}

/** Has the run do it, as a console would. */
async function steer(
  { path }: WatchedRun,
  { name, words, remote }: { name: string; words: readonly string[]; remote: Deno.Addr },
): Promise<{ text: string; value: unknown }> {
  const client = await connectToRun(path);
  try {
    const isHere = remote.transport === "tcp" && isLoopback(remote.hostname);
    const by = `${whoIsHere()} by page${
      isHere || remote.transport !== "tcp" ? "" : ` from ${remote.hostname}`
    }`;
    const { text, value } = await client.ask(name, { words, by, signal: AbortSignal.timeout(ANSWER_MS) });
    return { text, value };
  } finally {
    await client.close();
  }
}

/** A checkpoint or an estimate is waited for. */
const ANSWER_MS = 120_000;

function refusal(error: unknown): { code: string; message: string } {
  if (error instanceof LockstepError) return { code: error.code, message: error.message };
  throw error;
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

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function numberIn(text: string | undefined, otherwise: number): number {
  const value = Number(text ?? NaN);
  return Number.isFinite(value) && value >= 0 ? value : otherwise;
}
