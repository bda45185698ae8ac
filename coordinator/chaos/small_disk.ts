import { join } from "node:path";
import { CaseFailed } from "./scenario.ts";

/** A disk of 1 MiB, mounted in a folder. */
export class SmallDisk implements AsyncDisposable {
  readonly #filler: string;

  private constructor(private readonly path: string) {
    this.#filler = join(path, "filler");
  }

  static async mount(path: string): Promise<SmallDisk> {
    await Deno.mkdir(path, { recursive: true });
    await command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path);
    return new SmallDisk(path);
  }

  /** Leaves room for so many bytes, about. */
  fill({ leave }: { leave: number }): void {
    using file = Deno.openSync(this.#filler, { write: true, create: true });
    const piece = new Uint8Array(4096);
    try {
      for (;;) file.writeSync(piece);
    } catch {
      file.truncateSync(Math.max(0, file.statSync().size - leave));
    }
  }

  free(): void {
    Deno.removeSync(this.#filler);
  }

  /** What still uses it goes on with what it has open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await command("umount", "--lazy", this.path);
  }
}

async function command(name: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(name, { args, stderr: "piped" }).output();
  if (!success) throw new CaseFailed(`${name} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
