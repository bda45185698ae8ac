import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readDataMeta } from "../../../shared/data/data_meta.ts";
import { openDataset } from "../../../shared/data/datasets/open_dataset.ts";
import { createBatch } from "../../../shared/data/datasets/dataset.ts";
import { lastCut } from "../../../shared/data/documents.ts";
import { defaultDataDir, type PrepareOptions, prepareText } from "../../../shared/data/prepare.ts";
import { openTokenizer } from "../../../shared/data/tokenizers/open_tokenizer.ts";
import { type ErrorCode, LockstepError } from "../../../shared/errors.ts";
import { sha256 } from "../../../shared/hash.ts";

/** Five rows of "id" and "text" in two groups, snappy: written by pyarrow. */
const PARQUET = fileURLToPath(new URL("./tiny.parquet", import.meta.url));
const PARQUET_ROWS = [
  "first row",
  "second row, naïve café",
  "third row\nwith two lines",
  "second row, naïve café",
  "fifth 鯨",
];
const CHAR = { data: null, data_dir: null, tokenizer: "char", text_field: "text" } as const;

async function withFolder(test: (path: (...parts: string[]) => string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await test((...parts) => join(root, ...parts));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function textOf(dataDir: string): Promise<{ train: string; val: string }> {
  const meta = await readDataMeta(dataDir);
  assert.ok(meta !== null);
  const tokenizer = await openTokenizer(meta);
  const read = async (name: string) => {
    const { buffer } = await Deno.readFile(join(dataDir, name));
    return tokenizer.decode(new Uint16Array(buffer));
  };
  return { train: await read("train.bin"), val: await read("val.bin") };
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  return names.sort();
}

async function refuses(options: Partial<PrepareOptions>, code: ErrorCode, ...parts: string[]): Promise<void> {
  await assert.rejects(prepareText({ ...CHAR, ...options }), (error) => {
    assert.ok(error instanceof LockstepError, String(error));
    assert.equal(error.code, code);
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    return true;
  });
}

Deno.test("prepareText() splits the characters of a file as nanoGPT's shakespeare_char and writes what it read", async () => {
  await withFolder(async (path) => {
    const text = "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak 鯨.\n";
    await Deno.writeTextFile(path("input.txt"), text);
    const { meta, upToDate } = await prepareText({ ...CHAR, data: path("input.txt"), data_dir: path("out") });
    assert.equal(upToDate, false);
    const cut = Math.floor([...text].length * 0.9);
    assert.deepEqual(await textOf(path("out")), { train: text.slice(0, cut), val: text.slice(cut) });
    assert.equal(meta.chars, [...new Set(text)].sort().join(""));
    assert.deepEqual(meta.source, { name: "input.txt", sha256: sha256(text), text_field: "text" });
    assert.deepEqual(meta.val, {
      tokens: text.length - cut,
      sha256: sha256(await Deno.readFile(path("out", "val.bin"))),
    });
    assert.deepEqual(await namesIn(path("out")), ["meta.json", "train.bin", "val.bin"]);
  });
});

Deno.test("prepareText() gives the same bytes again, and does nothing where they are there", async () => {
  await withFolder(async (path) => {
    await Deno.writeTextFile(path("input.txt"), "to be or not to be ".repeat(20));
    const options = { ...CHAR, data: path("input.txt"), data_dir: path("out") };
    const first = await prepareText(options);
    const read = () =>
      Promise.all(["meta.json", "train.bin", "val.bin"].map((name) => Deno.readFile(path("out", name))));
    const bytes = await read();
    assert.deepEqual(await prepareText(options), { ...first, upToDate: true });
    assert.equal((await prepareText({ ...options, force: true })).upToDate, false);
    assert.deepEqual(await read(), bytes);

    await Deno.truncate(path("out", "val.bin"), 4); // torn: mended
    assert.equal((await prepareText(options)).upToDate, false);
    assert.deepEqual(await read(), bytes);
    assert.equal((await prepareText({ ...options, tokenizer: "byte" })).upToDate, false);
    await Deno.writeTextFile(path("input.txt"), "another text ".repeat(20));
    assert.equal((await prepareText({ ...options, tokenizer: "byte" })).upToDate, false);
  });
});

Deno.test("prepareText() opens as a data set, and what was torn or changed later is refused", async () => {
  await withFolder(async (path) => {
    await Deno.writeTextFile(path("input.txt"), "abcdefgh".repeat(50));
    await prepareText({ ...CHAR, data: path("input.txt"), data_dir: path("out") });
    const options = {
      dataset: "text",
      data_dir: path("out"),
      task_data: null,
      sort: { length: 16, values: 16 },
      probe: { length: 4, values: 8 },
      seed: 1,
      block_size: 8,
      batch_size: 2,
      gradient_accumulation_steps: 1,
    } as const;
    const dataset = await openDataset(options);
    const batch = createBatch(2, 8);
    dataset.trainBatch({ step: 0, shard: 0 }, batch);
    assert.equal(dataset.vocabSize, 8);
    assert.ok(batch.targets.every((target, i) => target === (batch.tokens[i] + 1) % 8));
    dataset.close();
    const bytes = await Deno.readFile(path("out", "train.bin"));
    bytes[20] ^= 1;
    await Deno.writeFile(path("out", "train.bin"), bytes);
    await assert.rejects(openDataset(options), /train\.bin as meta\.json beside it says SHA-256/);
  });
});

Deno.test("prepareText() reads a folder in the order of its names, JSON Lines and Parquet row by row", async () => {
  await withFolder(async (path) => {
    await Deno.mkdir(path("in", "sub"), { recursive: true });
    await Deno.writeTextFile(path("in", "b.jsonl"), '\uFEFF{"text":"one"}\n\n{"text":"two\\nlines","id":2}');
    await Deno.writeTextFile(path("in", "a.txt"), "plain text");
    await Deno.writeTextFile(path("in", "notes.log"), "not taken");
    await Deno.writeTextFile(path("in", ".hidden.txt"), "not taken");
    await Deno.copyFile(PARQUET, path("in", "sub", "c.parquet"));
    const expected = ["plain text", "one", "two\nlines", ...PARQUET_ROWS];
    for (
      const [tokenizer, separator] of [["char", "\n"], ["byte", "\n"], ["gpt2", "<|endoftext|>"]] as const
    ) {
      const { meta } = await prepareText({ ...CHAR, tokenizer, data: path("in"), data_dir: path(tokenizer) });
      const text = (await openTokenizer(meta)).decode(await tokensOf(path(tokenizer)));
      assert.equal(text, expected.join(separator));
    }
  });
});

async function tokensOf(dataDir: string): Promise<number[]> {
  const parts = await Promise.all(["train.bin", "val.bin"].map((name) => Deno.readFile(join(dataDir, name))));
  return parts.flatMap(({ buffer }) => [...new Uint16Array(buffer)]);
}

Deno.test("prepareText() cuts a long text where GPT-2's tokens are those of the whole", async () => {
  const words = ["the", "  two", "\n", "\n\n  ", " it's", " 12345", "\t", "鯨 ", " —", "end\n"];
  const text = Array.from({ length: 400_000 }, (_, i) => words[(i * i + 7 * i) % 1_009 % words.length]).join(
    "",
  );
  assert.ok(text.length > 1_100_000);
  await withFolder(async (path) => {
    await Deno.writeTextFile(path("long.txt"), text);
    await prepareText({ ...CHAR, tokenizer: "gpt2", data: path("long.txt"), data_dir: path("out") });
    const tokenizer = await openTokenizer({ tokenizer: "gpt2", vocab_size: 50_257 });
    assert.deepEqual(await tokensOf(path("out")), [...tokenizer.encode(text)]);
  });
});

Deno.test("lastCut() stands before a single space between two other characters", () => {
  assert.equal(lastCut("ab cd  ef\n", 0), 2);
  assert.equal(lastCut("ab\ncd ", 0), 2);
  assert.equal(lastCut("ab \ncd", 0), -1);
  assert.equal(lastCut("ab cd ef", 3), 5);
  assert.equal(lastCut("ab cd", 4), -1);
});

Deno.test("prepareText() fetches a URL once, and again when forced; a failure leaves nothing behind", async () => {
  let requests = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    requests++;
    const { pathname } = new URL(request.url);
    if (pathname === "/rows.jsonl") return new Response('{"body":"first"}\n{"body":"second"}\n');
    return new Response("no", { status: 404 });
  });
  try {
    await withFolder(async (path) => {
      const base = `http://127.0.0.1:${server.addr.port}`;
      const options = {
        ...CHAR,
        text_field: "body",
        data: `${base}/rows.jsonl?download=1`,
        data_dir: path("out"),
      };
      const { meta } = await prepareText(options);
      assert.equal(meta.source.name, options.data);
      const { train, val } = await textOf(path("out"));
      assert.equal(train + val, "first\nsecond");
      assert.equal((await prepareText(options)).upToDate, true);
      assert.equal(requests, 1);
      await prepareText({ ...options, force: true });
      assert.equal(requests, 2);
      await refuses({ data: `${base}/gone.txt`, data_dir: path("gone") }, "E_DATA", "gone.txt", "404");
      await assert.rejects(Deno.stat(path("gone")), Deno.errors.NotFound);
      await refuses({ data: `${base}/ckpt.pt`, data_dir: path("gone") }, "E_PICKLE", "docs/from_nanogpt.py");
      assert.equal(requests, 3);
    });
  } finally {
    await server.shutdown();
  }
});

Deno.test("prepareText() without data takes the built-in novel", async () => {
  await withFolder(async (path) => {
    const seen = new Set<string>();
    const { meta } = await prepareText({ ...CHAR, data_dir: path("out") }, ({ phase }) => seen.add(phase));
    assert.equal(meta.source.name, "moby-dick");
    assert.ok(
      meta.train.tokens > 1_000_000 && meta.vocab_size < 150,
      `${meta.train.tokens} of ${meta.vocab_size}`,
    );
    assert.match((await textOf(path("out"))).train, /Call me Ishmael\./);
    assert.deepEqual([...seen], ["collect", "encode"]);
    assert.equal((await prepareText({ ...CHAR, data_dir: path("out") })).upToDate, true);
  });
  assert.equal(defaultDataDir(CHAR), join("data", "moby-dick-char"));
});

Deno.test("defaultDataDir() tells texts of one name apart by their place", () => {
  const dirs = ["a/input.txt", "b/input.txt", "https://example.org/my input.txt"].map((data) =>
    defaultDataDir({ data, tokenizer: "gpt2" })
  );
  assert.equal(new Set(dirs).size, 3);
  assert.match(dirs[0], /^data.input-gpt2-[0-9a-f]{8}$/);
  assert.match(dirs[2], /^data.my_20input-gpt2-[0-9a-f]{8}$/);
});

Deno.test("prepareText() refuses, in one sentence each, what it cannot read", async () => {
  await withFolder(async (path) => {
    const write = async (name: string, content: string | Uint8Array) => {
      await Deno.mkdir(path("in"), { recursive: true });
      if (typeof content === "string") await Deno.writeTextFile(path("in", name), content);
      else await Deno.writeFile(path("in", name), content);
      return { data: path("in", name), data_dir: path("out") };
    };
    await refuses(
      { data: path("nowhere.txt"), data_dir: path("out") },
      "E_DATA",
      "nowhere.txt",
      "no such file",
    );
    for (const name of ["meta.pkl", "ckpt.pt", "a.PTH", "b.ckpt", "c.pickle"]) {
      await refuses(await write(name, "x"), "E_PICKLE", "docs/from_nanogpt.py");
    }
    await refuses({ data: path("in"), data_dir: path("out") }, "E_PICKLE", "a.PTH");
    await refuses(await write("empty.txt", ""), "E_DATA", "empty.txt");
    await refuses(
      await write("latin1.txt", Uint8Array.of(0x63, 0x61, 0x66, 0xe9)),
      "E_DATA",
      "latin1.txt",
      "UTF-8",
    );
    await refuses(await write("a.jsonl", '{"text":"a"}\n{"text":'), "E_DATA", "a.jsonl:2");
    await refuses(
      await write("b.jsonl", '{"text":"a"}\n\n{"body":"b"}'),
      "E_DATA",
      "line 3 of b.jsonl",
      '"text"',
    );
    await refuses(await write("c.parquet", "PAR1 not so"), "E_DATA", "c.parquet");
    await refuses({ data: PARQUET, data_dir: path("out"), text_field: "body" }, "E_DATA", "id, text");
    await refuses(
      { data: PARQUET, data_dir: path("out"), text_field: "id" },
      "E_DATA",
      "row 1 of tiny.parquet",
    );
    await assert.rejects(Deno.stat(path("out", "train.bin")), Deno.errors.NotFound);
    const left = await namesIn(path("out")).catch(() => []);
    assert.deepEqual(left, []);
  });
});

Deno.test("prepareText() never overwrites files that it did not make, nor prepares what is prepared", async () => {
  await withFolder(async (path) => {
    await Deno.writeTextFile(path("input.txt"), "some text ".repeat(10));
    await Deno.mkdir(path("mine"));
    await Deno.writeTextFile(path("mine", "train.bin"), "nanoGPT's");
    await refuses({ data: path("input.txt"), data_dir: path("mine") }, "E_DATA", "choose another --data_dir");
    await refuses({ data: path("mine"), data_dir: path("out") }, "E_DATA", `--data_dir=${path("mine")}`);
    const part = { tokens: 4, sha256: "0".repeat(64) }; // as docs/from_nanogpt.py writes it
    const source = { name: "meta.pkl", sha256: part.sha256 };
    const meta = { tokenizer: "char", vocab_size: 1, chars: "a", train: part, val: part, source };
    await Deno.writeTextFile(path("mine", "meta.json"), JSON.stringify(meta));
    await refuses({ data: path("input.txt"), data_dir: path("mine") }, "E_DATA", "choose another --data_dir");
    assert.equal(await Deno.readTextFile(path("mine", "train.bin")), "nanoGPT's");
  });
});

const SHAKESPEARE = fileURLToPath(new URL("../../../../shared/data/tinyshakespeare.txt", import.meta.url));
const noShakespeare = !existsSync(SHAKESPEARE);

Deno.test({
  name: "prepareText() makes of tiny Shakespeare the very tokens of nanoGPT's shakespeare_char" +
    (noShakespeare ? " (skipped: ../shared/data is not there)" : ""),
  ignore: noShakespeare,
  async fn() {
    await withFolder(async (path) => {
      const { meta } = await prepareText({ ...CHAR, data: SHAKESPEARE, data_dir: path("out") });
      assert.equal(meta.vocab_size, 65);
      // Of the files that nanoGPT's data/shakespeare_char/prepare.py writes.
      assert.deepEqual(meta.train, {
        tokens: 1_003_854,
        sha256: "6ec305602a99ac2802745a134e1f5e33e2231b4855525b00b9aebb730ac2626f",
      });
      assert.deepEqual(meta.val, {
        tokens: 111_540,
        sha256: "d37d30cc0c8327c270d493299c3dca54135f6d5f1c9ef60cda78076e311204b1",
      });
    });
  },
});
