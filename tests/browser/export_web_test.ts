import assert from "node:assert/strict";
import { join } from "node:path";
import { readTensors } from "../../shared/checkpoint/safetensors.ts";
import { exportModel } from "../../worker/export/export_model.ts";
import { hfFixture } from "../fixtures.ts";
import { inTempDir } from "../shared/temp_dir.ts";
import { findChromium, Page } from "./chromium.ts";
import { serveFolder } from "./static_server.ts";

const chromium = await findChromium();

Deno.test({
  name: "exportModel() as web: in Chromium, from a static host, the page goes on as transformers does" +
    (chromium === null ? " (skipped: there is no chromium)" : ""),
  ignore: chromium === null,
  fn: () =>
    inTempDir(async (dir) => {
      const expected = await readTensors(join(hfFixture("hf-gpt2-tiny"), "expected.safetensors"));
      const greedy = [...expected.get("greedy")?.data ?? []];
      const folder = join(dir, "page");
      await exportModel(hfFixture("hf-gpt2-tiny"), { format: "web", out: folder });
      await using server = serveFolder(folder);
      await using page = await Page.open(chromium ?? "", server.url);
      const status = "document.querySelector('[role=status]')?.textContent";
      await page.until(`${status} !== undefined && !${status}.startsWith('Loading')`);
      assert.equal(await page.evaluate(status), "Ready");
      await page.evaluate(`{
        const form = document.querySelector("form");
        form.elements.prompt.value = ${JSON.stringify(greedy.slice(0, 8).join(" "))};
        form.elements.count.value = ${greedy.length - 8};
        form.elements.temperature.value = 0;
        form.requestSubmit();
      }`);
      await page.until(`/tokens/.test(${status})`);
      assert.equal(await page.evaluate("document.querySelector('output').textContent"), greedy.join(" "));
    }),
});
