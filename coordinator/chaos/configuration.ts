/** A model of 14,544 parameters. */
const TINY = ["--n_layer=2", "--n_embd=24"];

/** One whose gradient fills several frames, and whose state several pieces. */
const WIDE = ["--n_layer=4", "--n_embd=96"];

/** A run of some milliseconds a step: sorts four numbers below 16, with dropout, and saves `every` so many steps. */
export function configuration(
  steps: number,
  { wide = false, every = 20 }: { wide?: boolean; every?: number } = {},
): string[] {
  return [
    "sort-demo",
    ...(wide ? WIDE : TINY),
    "--block_size=8",
    "--sort.length=4",
    "--batch_size=2",
    "--dropout=0.1",
    `--max_iters=${steps}`,
    "--log_interval=1",
    `--eval_interval=${every}`,
    "--eval_iters=1",
    "--eval_items=0",
    "--warmup_iters=5",
    "--always_save_checkpoint=true",
  ];
}
