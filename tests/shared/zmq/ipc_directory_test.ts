import assert from "node:assert/strict";
import { createIpcDirectory } from "../../../shared/zmq/ipc_directory.ts";

Deno.test({
  name: "createIpcDirectory() makes a directory for its user alone, and removes it with what is in it",
  ignore: Deno.build.os === "windows",
  fn() {
    const directory = createIpcDirectory();
    const path = directory.endpoint("control").slice("ipc://".length);
    const parent = path.slice(0, path.lastIndexOf("/"));
    assert.equal((Deno.statSync(parent).mode ?? 0) & 0o777, 0o700);
    Deno.writeTextFileSync(path, "");
    directory.remove();
    assert.throws(() => Deno.statSync(parent), Deno.errors.NotFound);
  },
});

Deno.test({
  name: "createIpcDirectory() keeps socket paths short where the temporary directory's path is long",
  ignore: Deno.build.os === "windows",
  fn() {
    const before = Deno.env.get("TMPDIR");
    const long = Deno.makeTempDirSync({ prefix: "x".repeat(80) });
    Deno.env.set("TMPDIR", long);
    try {
      const directory = createIpcDirectory();
      assert.ok(directory.endpoint("x".repeat(32)).length - "ipc://".length <= 103);
      directory.remove();
      assert.deepEqual([...Deno.readDirSync(long)], []);
    } finally {
      if (before === undefined) Deno.env.delete("TMPDIR");
      else Deno.env.set("TMPDIR", before);
      Deno.removeSync(long, { recursive: true });
    }
  },
});

Deno.test({
  name: "createIpcDirectory() makes no endpoint with a blank, which no message could carry",
  ignore: Deno.build.os === "windows",
  fn() {
    const before = Deno.env.get("TMPDIR");
    const blank = Deno.makeTempDirSync({ prefix: "a b" });
    Deno.env.set("TMPDIR", blank);
    try {
      const directory = createIpcDirectory();
      assert.match(directory.endpoint("data"), /^ipc:\/\/\S+$/);
      directory.remove();
      assert.deepEqual([...Deno.readDirSync(blank)], []);
    } finally {
      if (before === undefined) Deno.env.delete("TMPDIR");
      else Deno.env.set("TMPDIR", before);
      Deno.removeSync(blank, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "createIpcDirectory() removes what killed processes have left, and nothing of those that live or of others",
  ignore: Deno.build.os === "windows",
  fn() {
    const before = Deno.env.get("TMPDIR");
    const folder = Deno.makeTempDirSync({ prefix: "t-" });
    Deno.env.set("TMPDIR", folder);
    const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name);
    try {
      const living = createIpcDirectory();
      for (const name of ["lockstep-dead", "lockstep-other", "elsewhere"]) {
        Deno.mkdirSync(`${folder}/${name}`);
      }
      for (const name of ["lockstep-dead", "elsewhere"]) Deno.writeTextFileSync(`${folder}/${name}/lock`, "");
      const second = createIpcDirectory();
      assert.ok(!names().includes("lockstep-dead"));
      assert.equal(names().length, 4);
      second.remove();
      living.remove();
      assert.deepEqual(names().sort(), ["elsewhere", "lockstep-other"]);
    } finally {
      if (before === undefined) Deno.env.delete("TMPDIR");
      else Deno.env.set("TMPDIR", before);
      Deno.removeSync(folder, { recursive: true });
    }
  },
});
