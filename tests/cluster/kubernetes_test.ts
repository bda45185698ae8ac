/** A run on Kubernetes, as far as that goes without a cluster: its schemas, and its pods as namespaces of this machine. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { sandbox } from "../integration/support.ts";

const DEPLOY = fileURLToPath(new URL("../../deploy/", import.meta.url));

const PYTHON = Deno.env.get("LOCKSTEP_TEST_PYTHON") ?? "python3";
/** The newest two that kubernetes-validate has schemas of. */
const VERSIONS = ["1.36.0", "1.37.0"];

function python(args: string[]): Deno.CommandOutput | null {
  try {
    return new Deno.Command(PYTHON, { args, stdout: "piped", stderr: "piped" }).outputSync();
  } catch {
    return null;
  }
}

const hasSchemas = python(["-c", "import kubernetes_validate"])?.success ?? false;
const VALIDATE = `
import sys, yaml, kubernetes_validate
for manifest in yaml.safe_load_all(open(sys.argv[1])):
    for version in sys.argv[2:]:
        kubernetes_validate.validate(manifest, version, strict=True)
        print(manifest["kind"], version)
`;

Deno.test({
  name:
    "submit kubernetes: manifests are valid to the schemas of two versions, and a misspelled field is not" +
    (hasSchemas
      ? ""
      : ` (skipped: ${PYTHON} has no kubernetes-validate; LOCKSTEP_TEST_PYTHON names another)`),
  ignore: !hasSchemas,
  async fn() {
    await using box = await sandbox();
    const all =
      "--namespace=ml --nodes=3 --nnodes=1:3 --gpus-per-node=2 --cpus=4 --memory=16Gi --queue-name=team " +
      "--service-account=trainer --active-deadline=3600 --storage=50Gi --storage-class=nfs --backoff-limit=2 --image=x:1";
    for (const words of [[], all.split(" "), ["--pvc=runs", "--secret=keys"], ["--insecure"]]) {
      const { code, out, err } = await box.run(["submit", "kubernetes", "sort-demo", "--dry-run", ...words]);
      assert.equal(code, 0, err);
      await Deno.writeTextFile(box.path("job.yaml"), out);
      const kinds = out.split("---\n").length;
      const valid = python(["-c", VALIDATE, box.path("job.yaml"), ...VERSIONS]);
      assert.equal(text(valid?.stdout).trim().split("\n").length, 2 * kinds, text(valid?.stderr));
      await Deno.writeTextFile(box.path("job.yaml"), out.replace("backoffLimit", "backofLimit"));
      const invalid = python(["-c", VALIDATE, box.path("job.yaml"), ...VERSIONS]);
      assert.match(text(invalid?.stderr), /backofLimit/);
    }
  },
});

Deno.test("deploy/lockstep.sh starts the program with the permissions of the task cli", async () => {
  const { tasks } = z.object({ tasks: z.object({ cli: z.string() }) }).parse(
    JSON.parse(await Deno.readTextFile(`${DEPLOY}../deno.json`)),
  );
  const script = await Deno.readTextFile(`${DEPLOY}lockstep.sh`);
  assert.deepEqual(script.match(/--allow-\w+/g), tasks.cli.match(/--allow-\w+/g));
});

Deno.test("submit kubernetes renders deploy/kubernetes/sort-demo.yaml by the command that its README gives", async () => {
  const readme = await Deno.readTextFile(`${DEPLOY}kubernetes/README.md`);
  const [, command] =
    /lockstep (submit kubernetes .*--dry-run) > sort-demo\.yaml/.exec(readme.replaceAll("\\\n", "")) ??
      [];
  await using box = await sandbox();
  const { out, err } = await box.run(command.split(/\s+/));
  assert.equal(out, await Deno.readTextFile(`${DEPLOY}kubernetes/sort-demo.yaml`), err);
});

Deno.test("submit kubernetes refuses what pods cannot have, and says so without kubectl", async () => {
  await using box = await sandbox();
  await Deno.writeTextFile(box.path("mine.toml"), 'preset = "sort-demo"\n');
  const refused: [string[], RegExp][] = [
    [["sort-demo", "--nodes=2", "--nnodes=3"], /^error E_CONFIG: .*--nodes=3/],
    [["sort-demo", "--node-rank=1"], /^error E_CONFIG: .*--node-rank=1/],
    [["sort-demo", "--name=Demo"], /^error E_CONFIG: .*lower-case/],
    [["sort-demo", "--memory=16GB"], /^error E_CONFIG: .*16Gi/],
    [["sort-demo", "--keys=nowhere"], /^error E_KEY: .*nowhere/],
    [["sort-demo"], /^error E_SUBMIT: .*kubectl/],
  ];
  for (const [words, said] of refused) {
    const { code, err } = await box.run(["submit", "kubernetes", ...words], {
      env: { PATH: box.path("empty") },
    });
    assert.notEqual(code, 0);
    assert.match(err.trimEnd().split("\n").at(-1) ?? "", said);
  }
});

Deno.test("submit kubernetes gives kubectl the manifests, and tells how to look at the run", async () => {
  await using box = await sandbox();
  await Deno.mkdir(box.path("bin"));
  const kubectl = `#!/bin/sh\necho "$@" > '${box.path("words")}'\ncat > '${
    box.path("given")
  }'\necho job.batch/demo created\n`;
  await Deno.writeTextFile(box.path("bin", "kubectl"), kubectl, { mode: 0o755 });
  const words = ["submit", "kubernetes", "sort-demo", "--name=demo", "--namespace=ml", "--secret=keys"];
  const path = `${box.path("bin")}:${Deno.env.get("PATH")}`;
  const { code, out, err } = await box.run(words, { env: { PATH: path } });
  assert.equal(code, 0, err);
  assert.equal(await Deno.readTextFile(box.path("words")), "apply --filename=-\n");
  assert.equal(await Deno.readTextFile(box.path("given")), (await box.run([...words, "--dry-run"])).out);
  assert.match(out, /^job\.batch\/demo created$/m);
  assert.match(out, /kubectl -n ml logs --follow .*job-name=demo/);
  assert.match(out, /kubectl -n ml delete .*instance=demo/);
});

function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}
