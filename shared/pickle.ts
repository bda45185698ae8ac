import { LockstepError } from "./errors.ts";

const PICKLE_NAME = /\.(pkl|pickle|pt|pth|ckpt)$/i;

/** True for names that Python programs give to pickles: nanoGPT's `meta.pkl` and `ckpt.pt` among them. */
export function isPickleName(path: string): boolean {
  return PICKLE_NAME.test(path);
}

/** Throws E_PICKLE if `path` has the name of a pickle: reading one runs whatever code it holds. */
export function refusePickle(path: string): void {
  if (!isPickleName(path)) return;
  throw new LockstepError(
    "E_PICKLE",
    `Cannot read ${path} as a pickle may hold code that runs when it is read: turn it into JSON or safetensors ` +
      `with docs/from_nanogpt.py, in a Python that you trust it with`,
  );
}
