const RTLD_LAZY = 1;
const RTLD_NODELETE = 0x1000;

/**
 * Loads a library of this system for as long as the process lives. Deno unloads what a thread has opened when that ends, under
 * the feet of the library's own threads, and of the process that is about to call its exit functions.
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
      // The other one; elsewhere than on Linux neither, and libraries are unloaded as ever.
    }
  }
}
