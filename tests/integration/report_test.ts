import assert from "node:assert/strict";
import { assertRefused, sandbox, TINY } from "./support.ts";

const HOSTILE = `</script><img src=x onerror="alert(1)">&'`;

Deno.test("report compares runs in one file that asks for nothing, runs nothing, and says how to repeat them", async () => {
  await using box = await sandbox();
  const name = `r<b>'"&`;
  const words = [...TINY, "--nproc_per_node=1", "--log_interval=5"];
  const weights = await box.train("one", [...words, "--eval_items=8"]);
  await box.train(name, [...words, "--seed=7", "--max_iters=20", "--lr_decay_iters=40"]);
  for (const [prompt, text] of [[HOSTILE, "x"], ["To be", `</pre>${HOSTILE}`]]) {
    const line = JSON.stringify({ step: 20, prompt, text });
    await Deno.writeTextFile(box.path(name, "samples.jsonl"), `${line}\n`, { append: true });
  }
  const ended = await box.run(["report", "one", name, "--out=report.html"]);
  assert.equal(ended.code, 0, ended.err);
  assert.match(ended.out, /^report\.html: 2 runs, \d+ characters$/m);
  const html = await Deno.readTextFile(box.path("report.html"));

  // Every "<" begins a tag of the report's own, and none of them loads or runs anything.
  const own =
    "!doctype|/?(html|head|meta|title|style|body|main|h[123]|p|pre|code|b|figure|table|thead|tbody|tr|th|td|" +
    "svg|g|text|path|line|rect|circle|polyline|polygon)";
  const tags = html.match(/<[^>]*/g) ?? [];
  for (const tag of tags) assert.match(tag, new RegExp(`^<(${own})(\\s|$)`));
  for (const tag of tags) assert.ok(!/\s(on\w+|src|href|style)\s*=/.test(tag), tag);
  assert.ok(!/url\(|@import/.test(html));
  assert.deepEqual([...new Set(html.match(/https?:\/\/[^"\s]*/g))], ["http://www.w3.org/2000/svg"]);
  assert.ok(html.includes("&lt;/script&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;"));
  assert.ok(html.includes("r&lt;b&gt;'&quot;&amp;"));
  assert.match(html, /Content-Security-Policy" content="default-src 'none'/);
  assert.match(html, /@media print/);

  assert.equal(html.match(/<svg /g)?.length, 5);
  assert.match(
    html,
    /<th scope="row">sort exact_match<\/th><td>[\d.]+ \([\d.]+ … [\d.]+\), step 40<\/td><td>–</,
  );
  assert.match(html, /<th scope="row">seed<\/th><td>1337<\/td><td>7<\/td>/);
  assert.match(html, /<th scope="row">machine<\/th><td>\d+ × /);
  assert.ok(html.includes(weights));

  const [, command] = /<pre>deno task cli (train one\/config\.toml [^<]*)<\/pre>/.exec(html) ?? [];
  const again = await box.run(command.split(" "));
  assert.equal(again.code, 0, again.err);
  assert.equal(await box.weights("out/one-again"), weights);
});

Deno.test("report refuses a folder that holds no run, and no folder at all", async () => {
  await using box = await sandbox();
  const none = await box.run(["report", "none"]);
  assertRefused(none, { status: 1, code: "E_OUT_DIR", words: ["none"] });
  assertRefused(await box.run(["report"]), {
    status: 2,
    code: "E_USAGE",
    words: ["at least one run's folder"],
  });
});
