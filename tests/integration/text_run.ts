import type { Sandbox } from "./support.ts";

/** A run of a tiny model of bytes, with a checkpoint, and task data for it: `run`, `tasks`. */
export async function writeTextRun(box: Sandbox): Promise<void> {
  const words = Array.from({ length: 400 }, (_, i) => "abcdefghij"[i % 10].repeat(1 + i * 7 % 5));
  await Deno.writeTextFile(box.path("text.txt"), words.join(" "));
  await Deno.mkdir(box.path("tasks", "arc_easy"), { recursive: true });
  const lines = Array.from({ length: 60 }, (_, i) => words.slice(i, i + 5));
  const passages = lines.map((line) => JSON.stringify({ text: line.join(" ") }));
  await Deno.writeTextFile(box.path("tasks", "lambada_test.jsonl"), passages.join("\n"));
  const questions = lines.map(([stem, ...rest]) => {
    const choices = rest.map((text, i) => ({ text, label: "ABCD"[i] }));
    return JSON.stringify({ id: stem, question: { stem, choices }, answerKey: "B" });
  });
  const parts = { Test: questions, Train: questions.slice(0, 40), Dev: questions.slice(40, 50) };
  for (const [part, lines] of Object.entries(parts)) {
    const unlike = lines.join("\n").replaceAll('"stem":"', `"stem":"${part} `);
    await Deno.writeTextFile(box.path("tasks", "arc_easy", `ARC-Easy-${part}.jsonl`), unlike);
  }
  await box.train("run", [
    "sort-demo",
    "--attention=causal",
    "--dataset=text",
    "--data=text.txt",
    "--data_dir=data",
    "--tokenizer=byte",
    "--n_layer=1",
    "--n_head=2",
    "--n_embd=8",
    "--block_size=64",
    "--batch_size=1",
    "--gradient_accumulation_steps=2",
    "--max_iters=2",
    "--eval_iters=1",
    "--eval_items=0",
    "--nproc_per_node=1",
  ]);
}
