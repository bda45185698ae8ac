/** A model of 14,544 parameters. */
const TINY = ["--n_layer=2", "--n_embd=24"];

/** One whose gradient fills several frames, and whose state several pieces. */
export const WIDE = ["--n_layer=4", "--n_embd=96"];

/** A run of some milliseconds a step: sorts four numbers below 16, with dropout, and saves every 20 steps. */
export function configuration(steps: number, model: readonly string[] = TINY): string[] {
  return [
    "sort-demo",
    ...model,
    "--block_size=8",
    "--sort.length=4",
    "--batch_size=2",
    "--dropout=0.1",
    `--max_iters=${steps}`,
    "--log_interval=1",
    "--eval_interval=20",
    "--eval_iters=1",
    "--eval_items=0",
    "--warmup_iters=5",
    "--always_save_checkpoint=true",
  ];
}
