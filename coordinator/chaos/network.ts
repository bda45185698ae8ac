import { CaseFailed } from "./scenario.ts";

/** Machines of a network of their own: namespaces whose cables end in one bridge. Number 0 is the first. */
export class Network implements AsyncDisposable {
  readonly #hub: string;

  private constructor(private readonly name: string, private readonly count: number) {
    this.#hub = `${name}h`;
  }

  static async make(count: number): Promise<Network> {
    const network = new Network(`ls${crypto.randomUUID().slice(0, 6)}`, count);
    try {
      await network.#build();
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What a command that runs on a machine begins with. */
  on(machine: number): string[] {
    return ["ip", "netns", "exec", this.#machine(machine)];
  }

  address(machine: number): string {
    return `10.77.0.${machine + 1}`;
  }

  /** Pulls the cable of a machine, or plugs it in. */
  async setLink(machine: number, state: "up" | "down"): Promise<void> {
    await ip("-n", this.#hub, "link", "set", this.#cable(machine), state);
  }

  /** Loses all that one machine sends to another. */
  async block(from: number, to: number): Promise<void> {
    await ip("-n", this.#machine(from), "route", "add", "blackhole", `${this.address(to)}/32`);
  }

  async unblock(from: number, to: number): Promise<void> {
    await ip("-n", this.#machine(from), "route", "del", "blackhole", `${this.address(to)}/32`);
  }

  /** Limits what a machine sends, such as to "10mbit". */
  async limit(machine: number, rate: string): Promise<void> {
    const words = ["dev", "eth0", "root", "tbf", "rate", rate, "burst", "32kbit", "latency", "400ms"];
    await run(["ip", "netns", "exec", this.#machine(machine), "tc", "qdisc", "add", ...words]);
  }

  async unlimit(machine: number): Promise<void> {
    await run(["ip", "netns", "exec", this.#machine(machine), "tc", "qdisc", "del", "dev", "eth0", "root"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...Array(this.count).keys()].map((i) => this.#machine(i)).concat(this.#hub)) {
      await ip("netns", "del", name).catch(() => {}); // not made yet
    }
  }

  async #build(): Promise<void> {
    await ip("netns", "add", this.#hub);
    await ip("-n", this.#hub, "link", "add", "bridge", "type", "bridge");
    await ip("-n", this.#hub, "link", "set", "bridge", "up");
    for (let machine = 0; machine < this.count; machine++) {
      const [name, cable] = [this.#machine(machine), this.#cable(machine)];
      await ip("netns", "add", name);
      await ip("-n", this.#hub, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name);
      await ip("-n", this.#hub, "link", "set", cable, "master", "bridge", "up");
      await ip("-n", name, "link", "set", "lo", "up");
      await ip("-n", name, "addr", "add", `${this.address(machine)}/24`, "dev", "eth0");
      await ip("-n", name, "link", "set", "eth0", "up");
    }
  }

  #machine(machine: number): string {
    return `${this.name}m${machine}`;
  }

  #cable(machine: number): string {
    return `cable${machine}`;
  }
}

function ip(...args: string[]): Promise<void> {
  return run(["ip", ...args]);
}

async function run([command, ...args]: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stderr: "piped" }).output();
  const said = new TextDecoder().decode(stderr).trim();
  if (!success) throw new CaseFailed(`${command} ${args.join(" ")} failed: ${said}`);
}
