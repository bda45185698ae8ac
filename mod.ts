if (import.meta.main) {
  const { main } = await import("./coordinator/cli/main.ts");
  Deno.exit(await main(Deno.args));
}
