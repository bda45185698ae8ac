import { z } from "zod";
import { about, choice, optional, text, wholeNumber } from "../kinds.ts";

/** Keys of the data: which data set, where it is, how it becomes tokens. */
export const dataKeys = {
  dataset: choice([
    "sort",
    "text",
    "induction",
    "kv_retrieval",
    "copy_repeat",
    "multiplication",
    "ioi",
    "arc_easy",
    "babi/1",
    "babi/2",
    "babi/5",
    "glue/cola",
    "glue/sst2",
  ])
    .default("sort").register(about, {
      help:
        "Data set: number sequences to sort or a probe's items, made from the seed, a text, or questions to fine-tune on (docs/evaluation.md)",
      numerics: true,
    }),
  data: optional(text("a file, folder or URL")).default(null).register(about, {
    help: "The text to train on: plain text, JSON Lines, Parquet; none is the novel Moby-Dick",
  }),
  data_dir: optional(text("a folder")).default(null).register(about, {
    help: "Folder of the prepared train.bin, val.bin and meta.json; none chooses one",
  }),
  text_field: text("a name").default("text").register(about, {
    help: "Field of JSON Lines, or column of Parquet, that holds the text",
    numerics: true,
  }),
  tokenizer: choice(["char", "byte", "gpt2"]).default("char").register(about, {
    help: "How text becomes tokens: characters, bytes or GPT-2's byte pair encoding",
    numerics: true,
  }),
  sort: z.strictObject({
    length: wholeNumber(1, 65_535).default(16).register(about, {
      unit: "numbers",
      help: "How many numbers a sequence to sort has",
      numerics: true,
    }),
    // Token ids are stored as uint16, and the separator takes one.
    values: wholeNumber(2, 65_535).default(16).register(about, {
      help: "Numbers to sort are below this; repeats are allowed",
      numerics: true,
    }),
  }).prefault({}),
  probe: z.strictObject({
    length: wholeNumber(1, 65_535).default(16).register(about, {
      unit: "parts",
      help:
        "Of a probe's item: ids (induction, copy_repeat), pairs (kv_retrieval), digits (multiplication), sentences (ioi)",
      numerics: true,
    }),
    values: wholeNumber(2, 32_000).default(32).register(about, {
      help: "Ids, keys, values or names of a probe are below this",
      numerics: true,
    }),
  }).prefault({}),
};
