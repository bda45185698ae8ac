import { type Disk, disk, type DiskFile } from "../../../shared/files.ts";

/** What a call that changes the disk is, and how it ends. */
export type Fault = (
  call: { number: number; name: keyof Disk | keyof DiskFile },
) => "works" | "fails" | "fails half done";

/** The real disk without its fsyncs, which only matter when the machine dies. */
export const fastDisk = faultyDisk(() => "works", () => new Error());

/**
 * The real disk without its fsyncs, except that `fault` may make calls throw `error`; calls are numbered from 0.
 */
export function faultyDisk(fault: Fault, error: () => Error): Disk & { calls: number } {
  const attempt = async <T>(
    name: keyof Disk | keyof DiskFile,
    run: (half: boolean) => Promise<T>,
  ): Promise<T> => {
    const outcome = fault({ number: faulty.calls++, name });
    if (outcome === "fails") throw error();
    const result = await run(outcome === "fails half done");
    if (outcome === "fails half done") throw error();
    return result;
  };
  const faulty = {
    calls: 0,
    mkdir: (path: string) => attempt("mkdir", () => disk.mkdir(path)),
    rename: (from: string, to: string) => attempt("rename", () => disk.rename(from, to)),
    remove: (path: string) => attempt("remove", () => disk.remove(path)),
    syncDir: () => attempt("syncDir", () => Promise.resolve()),
    async create(path: string): Promise<DiskFile> {
      const file = await attempt("create", async (half) => {
        const opened = await disk.create(path);
        if (half) opened.close(); // nobody will hold it
        return opened;
      });
      return {
        write: (bytes) =>
          attempt("write", (half) => file.write(half ? bytes.subarray(0, bytes.byteLength >> 1) : bytes)),
        sync: () => attempt("sync", () => Promise.resolve()),
        close: () => file.close(),
      };
    },
  };
  return faulty;
}

/** As the operating system reports it: `ENOSPC`, `EROFS`. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`injected ${code}`), { code });
}
