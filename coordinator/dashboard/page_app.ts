import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { steeringCommands } from "../steering/steering_commands.ts";
import { access, type AccessOptions, login, maySteer, type PageEnv } from "./access.ts";
import type { Feed } from "./feed.ts";
import { pageFile } from "./page_files.ts";
import { steerRun } from "./steer_run.ts";
import type { WatchedRun } from "./watched_run.ts";

export interface PageAppOptions extends AccessOptions {
  readonly runs: readonly WatchedRun[];
  readonly feed: Feed;
}

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

/** Answers all that a browser, or Prometheus, asks. No answer depends on a path: runs have numbers, files names from a table. */
export function pageApp({ token, port, runs, feed }: PageAppOptions): Hono<PageEnv> {
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
    const { prometheusText } = await import("../observe/prometheus.ts"); // most pages are never asked
    const { body, contentType } = await prometheusText(runs);
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
    const answer = await steerRun(one.path, { ...command.data, remote: c.env.remoteAddr });
    return c.json(answer); // a refusal is an answer too
  });
  return app;
}

function numberIn(text: string | undefined, otherwise: number): number {
  const value = Number(text ?? NaN);
  return Number.isFinite(value) && value >= 0 ? value : otherwise;
}
