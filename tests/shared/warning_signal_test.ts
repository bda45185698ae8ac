import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const MODULE = fileURLToPath(new URL("../../shared/warning_signal.ts", import.meta.url));

Deno.test({
  name: "onWarningSignal() calls its listener, and leaves no debugger open",
  ignore: Deno.build.os === "windows",
  async fn() {
    // Deno has its own listener once a process has run for half a second.
    const program = `
      import inspector from "node:inspector";
      import { onWarningSignal } from ${JSON.stringify(MODULE)};
      const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const warned = Promise.withResolvers();
      const end = onWarningSignal(warned.resolve);
      await wait(700);
      Deno.kill(Deno.pid, "SIGUSR1");
      await warned.promise;
      await wait(500);
      console.log("warned", inspector.url());
      end();
      Deno.exit(0);
    `;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", "--ext=js", program],
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.equal(code, 0, err);
    assert.equal(out, "warned undefined\n", err);
  },
});
