import assert from "node:assert/strict";
import { request } from "node:http";
import { join } from "node:path";
import { ownerOf } from "../../../coordinator/dashboard/peer_user.ts";
import { openPageToken, PageToken } from "../../../coordinator/dashboard/page_token.ts";
import { type Dashboard, openDashboard } from "../../../coordinator/dashboard/server.ts";
import { inTempDir } from "../../shared/temp_dir.ts";

const EVIL = `</script><script>alert("evil")</script>`;
const TOKEN = "a-token-of-the-tests-0123456789";

/** A run's folder whose every text is an attack. */
async function hostileRun(dir: string): Promise<string> {
  const run = join(dir, "<img src=x onerror=alert(1)>");
  await Deno.mkdir(run);
  const write = (name: string, lines: unknown[]) =>
    Deno.writeTextFile(join(run, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await Deno.writeTextFile(join(run, "config.toml"), `# ${EVIL}\n`);
  await Deno.writeTextFile(join(dir, "secret"), "secret");
  await Deno.symlink(join(dir, "secret"), join(run, "secret"));
  await write("metrics.jsonl", [0, 1, 2].map((step) => ({ step, loss: 3 - step, [EVIL]: 1, workers: EVIL })));
  await write("samples.jsonl", [{ step: 0, prompt: EVIL, text: EVIL }]);
  await write("eval.jsonl", [{ step: 0, task: EVIL, metrics: { [EVIL]: 1 } }, "no line", { step: "x" }]);
  await write("log.jsonl", [
    { time: EVIL, process: EVIL, level: "info", event: "roster", fields: { members: [EVIL], step: 0 } },
  ]);
  return run;
}

async function withPage(
  options: { token?: PageToken },
  body: (page: Dashboard, dir: string) => Promise<void>,
): Promise<void> {
  await inTempDir(async (dir) => {
    const run = await hostileRun(dir);
    const page = await openDashboard({ runs: [run], port: 0, token: options.token ?? null });
    await body(page, dir).finally(() => page.close());
  });
}

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** As no browser and no `fetch` would ask: any path, Host and Origin. */
function ask(
  url: string,
  { method = "GET", headers = {}, body }: Asked = {},
): Promise<{ status: number; text: string; headers: Record<string, unknown> }> {
  const [, host, path] = /^http:\/\/([^/]+)(.*)$/.exec(url) ?? [];
  const [hostname, port] = host.split(":");
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path, method, headers: { host, ...headers } }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => text += piece);
      response.on(
        "end",
        () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }),
      );
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

Deno.test("openDashboard() serves its own files and the runs' numbers, and nothing that could run a run's text", async () => {
  await withPage({}, async ({ url }) => {
    const page = await ask(`${url}/`);
    assert.equal(page.status, 200);
    assert.match(String(page.headers["content-security-policy"]), /default-src 'none'; script-src 'self'; /);
    assert.doesNotMatch(page.text, /evil|onerror/);
    assert.equal(
      (await ask(`${url}/assets/page.js`)).headers["content-type"],
      "text/javascript; charset=utf-8",
    );
    const { metrics } = JSON.parse((await ask(`${url}/api/runs/0/curves`)).text);
    assert.deepEqual(metrics.steps, [0, 1, 2]);
    assert.deepEqual(metrics.columns.loss.mean, [3, 2, 1]);
    for (const path of ["/api/runs", "/api/runs/0", "/api/commands"]) {
      const { headers, status } = await ask(url + path);
      assert.equal(status, 200);
      assert.equal(headers["content-type"], "application/json");
      assert.equal(headers["x-content-type-options"], "nosniff");
    }
    const details = JSON.parse((await ask(`${url}/api/runs/0`)).text);
    assert.equal(details.samples[0].text, EVIL);
    assert.deepEqual(details.workers, [{ step: 0, workers: [] }, { step: 1, workers: [] }, {
      step: 2,
      workers: [],
    }]);
  });
});

Deno.test("openDashboard() knows no path outside its files, and no run but those it was given", async () => {
  await withPage({}, async ({ url }) => {
    for (
      const path of [
        ...["/assets/../server.ts", "/assets/..%2fserver.ts", "/assets/%2e%2e/%2e%2e/mod.ts", "//etc/passwd"],
        ...["/secret", "/assets/secret", "/api/runs/0/secret", "/api/runs/0/../../secret", "/assets/"],
        ...["/api/runs/1", "/api/runs/-1", "/api/runs/0.0", "/api/runs/__proto__"],
      ]
    ) {
      const { status, text } = await ask(url + path);
      assert.equal(status, 404, `${path}: ${text}`);
      assert.doesNotMatch(text, /secret$|export|root:/);
    }
  });
});

Deno.test("openDashboard() answers no other name (DNS rebinding) and no other origin", async () => {
  await withPage({}, async ({ url }) => {
    const { port } = new URL(url);
    for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "10.0.0.1"]) {
      assert.equal((await ask(`${url}/api/runs`, { headers: { host } })).status, 421, host);
    }
    for (const host of [`localhost:${port}`, "127.0.0.1:7000", `[::1]:${port}`]) {
      assert.equal((await ask(`${url}/api/runs`, { headers: { host } })).status, 200, host);
    }
    for (const origin of ["http://evil.example", "null", `http://127.0.0.1:${Number(port) + 1}`]) {
      assert.equal((await ask(`${url}/api/runs`, { headers: { origin } })).status, 403, origin);
    }
    const command = { method: "POST", body: JSON.stringify({ name: "stop", words: [] }) };
    const json = { "content-type": "application/json" };
    const post = (headers: Record<string, string>) =>
      ask(`${url}/api/runs/0/commands`, { ...command, headers });
    assert.equal((await post({ ...json, origin: "http://evil.example" })).status, 403);
    assert.equal((await post({ "content-type": "text/plain", origin: url })).status, 415);
    assert.equal((await post(json)).status, 415, "without an origin");
    const { status, text } = await post({ ...json, origin: url });
    assert.equal(status, 200);
    assert.match(
      JSON.parse(text).message,
      /^Cannot attach to .* as no run that takes commands goes on there/,
    );
    const huge = await ask(`${url}/api/runs/0/commands`, {
      ...{ method: "POST", body: "x".repeat(1 << 20), headers: { ...json, origin: url } },
    });
    assert.equal(huge.status, 413);
  });
});

Deno.test("openDashboard() beyond loopback answers only who has the token, which a cookie of its own remembers", async () => {
  await withPage({ token: new PageToken(TOKEN) }, async ({ url }) => {
    assert.equal((await ask(`${url}/api/runs`)).status, 401);
    assert.equal((await ask(`${url}/`)).headers.location, "/login");
    const login = (token: string) =>
      ask(`${url}/login`, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", origin: url },
        body: `token=${token}`,
      });
    assert.equal((await login("wrong")).status, 401);
    const { status, headers } = await login(TOKEN);
    assert.equal(status, 303);
    const [cookie] = headers["set-cookie"] as string[];
    assert.match(cookie, /; HttpOnly; SameSite=Strict$/);
    assert.doesNotMatch(cookie, new RegExp(TOKEN));
    const [pair] = cookie.split(";");
    assert.equal((await ask(`${url}/api/runs`, { headers: { cookie: pair } })).status, 200);
    assert.equal((await ask(`${url}/api/runs`, { headers: { cookie: `${pair}0` } })).status, 401);
    const bearer = { authorization: `Bearer ${TOKEN}` };
    assert.equal((await ask(`${url}/api/runs`, { headers: bearer })).status, 200);
    const other = { authorization: "Bearer other" };
    assert.equal((await ask(`${url}/api/runs`, { headers: other })).status, 401);
  });
});

Deno.test("openDashboard() refuses to be open to other machines, and a port that is taken", async () => {
  await inTempDir(async (dir) => {
    const open = (host: string, port: number) => openDashboard({ runs: [dir], host, port, token: null });
    await assert.rejects(open("0.0.0.0", 0), { code: "E_KEY", message: /without a token.*--token=FILE/ });
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await assert.rejects(open("127.0.0.1", taken.addr.port), { code: "E_USAGE", message: /it is in use/ });
  });
});

Deno.test("openDashboard() tells who watches what is new, within two looks", async () => {
  await withPage({}, async ({ url }, dir) => {
    const { body } = await fetch(`${url}/api/events`);
    assert.ok(body !== null);
    const said = body.pipeThrough(new TextDecoderStream());
    const path = join(dir, "<img src=x onerror=alert(1)>", "metrics.jsonl");
    await Deno.writeTextFile(path, `{"step":3,"loss":0.5}\n`, { append: true });
    let text = "";
    for await (const piece of said) {
      text += piece;
      if (text.includes("event: news")) break;
    }
    const [, data] = /event: news\ndata: (.*)/.exec(text) ?? [];
    assert.deepEqual(JSON.parse(data).metrics.steps, [3]);
  });
});

Deno.test("openPageToken() makes a file for its owner alone, reads it again, and refuses what others may read", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "token");
    const token = await openPageToken(path);
    const text = (await Deno.readTextFile(path)).trim();
    assert.ok(token.isToken(text) && (await openPageToken(path)).isSession(token.session));
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    await Deno.chmod(path, 0o644);
    await assert.rejects(openPageToken(path), { code: "E_KEY", message: /others than its owner may use it/ });
    const short = join(dir, "short");
    await Deno.writeTextFile(short, "1234", { mode: 0o600 });
    await assert.rejects(openPageToken(short), { code: "E_KEY", message: /at least 24 letters/ });
  });
});

Deno.test("ownerOf() reads the user of a connection's other end from Linux's table", () => {
  const table =
    `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1776 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1076 1 0 100 0 0 10 0
   1: 0100007F:1776 0100007F:DD50 01 00000000:00000000 02:000001F8 00000000     0        0 1234 3 0 20 4 0 10 -1
   2: 0100007F:DD50 0100007F:1776 01 00000000:00000000 02:000001F8 00000000  1001        0 1235 3 0 20 4 0 10 -1`;
  assert.equal(ownerOf(table, { from: 0xdd50, to: 0x1776 }), 1001);
  assert.equal(ownerOf(table, { from: 0xdd51, to: 0x1776 }), null);
});
