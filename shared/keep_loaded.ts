const RTLD_LAZY = 1;
const RTLD_NODELETE = 0x1000;

/**
 * Keeps a native library loaded for as long as the process lives. Deno unloads what a thread has opened when that thread
 * ends, and all at the end, under the feet of the library's own threads and of what it has registered for their ends: the
 * process then ends with a segmentation fault. To be called before `Deno.dlopen`; does nothing where it is not known how.
 */
export function keepLoaded(library: string): void {
  const path = new TextEncoder().encode(`${library}\0`);
  for (const libc of ["libc.so.6", "libdl.so.2"]) { // glibc has had dlopen in the first since 2.34
    try {
      const { symbols, close } = Deno.dlopen(libc, {
        dlopen: { parameters: ["buffer", "i32"], result: "pointer" },
      });
      symbols.dlopen(path, RTLD_LAZY | RTLD_NODELETE);
      return close();
    } catch {
      // The other one; systems without either are left as they are.
    }
  }
}
