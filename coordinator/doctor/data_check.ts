import { listDataFiles } from "../../shared/data/data_files.ts";
import { readDataMeta } from "../../shared/data/data_meta.ts";
import { isGenerated, openDataset, questionsOf } from "../../shared/data/datasets/open_dataset.ts";
import { defaultDataDir, isPrepared } from "../../shared/data/prepare.ts";
import { isUrl } from "../../shared/data/text_source.ts";
import { LockstepError } from "../../shared/errors.ts";
import {
  type Check,
  describeBytes,
  type DoctorContext,
  failure,
  type Finding,
  ok,
  warning,
} from "./check.ts";

/** Whether a run's data are there and are what they were when they were prepared, by their hashes. */
export function dataCheck(): Check {
  return { name: "data", run: checkData };
}

async function checkData({ config }: DoctorContext): Promise<Finding> {
  const { dataset } = config;
  if (isGenerated(dataset)) {
    return ok(
      dataset === "sort"
        ? "sequences to sort, made from the seed"
        : `items of ${dataset}, made from the seed`,
    );
  }
  if (questionsOf(dataset) !== undefined) return await checkQuestions(config);
  if (!isPrepared(config)) return await checkText(config);
  const dataDir = config.data_dir ?? "";
  try {
    (await openDataset(config)).close(); // looks at every token, and at the hashes that meta.json promises
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return failure(
      `${error.code}: ${error.message}`,
      `lockstep prepare TEXT --data_dir=${dataDir}, or copy it again`,
    );
  }
  const files = await listDataFiles(dataDir);
  const listed = files.map(({ name, bytes, sha256 }) =>
    `${name} ${describeBytes(bytes)} ${sha256.slice(0, 12)}`
  );
  const hasPromise = await readDataMeta(dataDir) !== null;
  if (hasPromise) return ok(`${dataDir}: ${listed.join(", ")}, as meta.json says`);
  return warning(
    `${dataDir}: ${listed.join(", ")}, with no meta.json to hold them against`,
    "docs/from_nanogpt.py writes one, so that a damaged copy is noticed",
  );
}

/** Questions to fine-tune on, whose files and whose tokenizer's folder must be there. */
async function checkQuestions(config: DoctorContext["config"]): Promise<Finding> {
  try {
    (await openDataset(config)).close();
    return ok(`questions of ${config.dataset}, in ${config.task_data}`);
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return failure(
      `${error.code}: ${error.message}`,
      "docs/evaluation.md has the files, where they come from, and which tokens can write them",
    );
  }
}

/** A text that is prepared when the run starts. */
async function checkText({ data, tokenizer, data_dir }: DoctorContext["config"]): Promise<Finding> {
  if (data === null || isUrl(data)) {
    return ok(`${data ?? "the novel Moby-Dick"}, prepared when the run starts`);
  }
  const found = await Deno.stat(data).catch(() => null);
  if (found === null) {
    return failure(`${data} is not there, or may not be read`, "give the path of a text with --data");
  }
  const folder = data_dir ?? defaultDataDir({ data, tokenizer });
  return ok(`${data}, prepared into ${folder} when the run starts`);
}
