import assert from "node:assert/strict";
import { join } from "node:path";
import { listDataFiles, readDataPiece } from "../../shared/data/data_files.ts";
import { fetchData } from "../../worker/fetch_data.ts";
import { inTempDir } from "../shared/temp_dir.ts";

/** A folder of data with a file longer than a piece. */
async function makeData(dir: string): Promise<string> {
  await Deno.mkdir(dir, { recursive: true });
  const tokens = new Uint8Array((4 << 20) + 1234).map((_, i) => i * 7);
  await Deno.writeFile(join(dir, "train.bin"), tokens);
  await Deno.writeFile(join(dir, "val.bin"), tokens.subarray(0, 10));
  return dir;
}

/** Runs with a cache folder of its own. */
async function withCache(dir: string, run: () => Promise<void>): Promise<void> {
  const before = Deno.env.get("XDG_CACHE_HOME");
  Deno.env.set("XDG_CACHE_HOME", join(dir, "cache"));
  try {
    await run();
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
  }
}

Deno.test("fetchData() reads what is missing piece by piece, once, and takes what is there", () =>
  inTempDir((dir) =>
    withCache(dir, async () => {
      const source = await makeData(join(dir, "source"));
      const files = await listDataFiles(source);
      assert.deepEqual(files.map(({ name }) => name), ["train.bin", "val.bin"]);
      let pieces = 0;
      const readPiece = (file: string, index: number) => {
        pieces++;
        return readDataPiece(source, { file, index });
      };
      assert.equal(await fetchData(source, { files, readPiece }), source);
      assert.equal(pieces, 0);
      const fetched = await fetchData(join(dir, "nowhere"), { files, readPiece });
      const read = pieces;
      assert.ok(read > files.length, "a file of several pieces");
      assert.deepEqual(await listDataFiles(fetched), files);
      assert.equal(await fetchData(join(dir, "nowhere"), { files, readPiece }), fetched);
      assert.equal(pieces, read);
      assert.deepEqual([...Deno.readDirSync(fetched)].map(({ name }) => name).sort(), [
        "train.bin",
        "val.bin",
      ]);
    })
  ));

Deno.test("fetchData() refuses with E_DATA a file that arrives damaged or cut, and leaves nothing of it", () =>
  inTempDir((dir) =>
    withCache(dir, async () => {
      const source = await makeData(join(dir, "source"));
      const files = await listDataFiles(source);
      const damages = [
        (piece: Uint8Array) => piece.map((byte, i) => i === 5 ? byte ^ 1 : byte),
        (piece: Uint8Array) => piece.subarray(0, piece.length >> 1),
      ];
      for (const damage of damages) {
        const readPiece = async (file: string, index: number) =>
          damage(await readDataPiece(source, { file, index }));
        await assert.rejects(fetchData(join(dir, "nowhere"), { files, readPiece }), { code: "E_DATA" });
        const [folder] = [...Deno.readDirSync(join(dir, "cache", "lockstep", "data"))];
        assert.deepEqual([...Deno.readDirSync(join(dir, "cache", "lockstep", "data", folder.name))], []);
      }
    })
  ));

Deno.test("readDataPiece() gives no other file than a run's data", () =>
  inTempDir(async (dir) => {
    await assert.rejects(readDataPiece(dir, { file: "../../etc/passwd", index: 0 }), { code: "E_PATH" });
  }));
