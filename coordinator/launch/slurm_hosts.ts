/**
 * The hosts of one of Slurm's lists, in order: `a[01-03,7],b` is a01, a02, a03, a7, b. Several brackets in one name give
 * every combination, as `scontrol show hostnames` does.
 */
export function expandHosts(list: string): string[] {
  return splitOutside(list).flatMap(expand);
}

/** Cuts at commas that stand in no bracket. */
function splitOutside(list: string): string[] {
  return list.split(/,(?![^[]*\])/).filter((part) => part !== "");
}

function expand(name: string): string[] {
  const [, before, inside, after] = /^([^[]*)\[([^\]]*)\](.*)$/.exec(name) ?? [];
  if (inside === undefined) return [name];
  const rest = expand(after);
  return inside.split(",").flatMap(numbers).flatMap((number) =>
    rest.map((tail) => `${before}${number}${tail}`)
  );
}

/** `08-11` is 08, 09, 10, 11. */
function numbers(range: string): string[] {
  const [first, last = first] = range.split("-");
  const count = Number(last) - Number(first) + 1;
  return Array.from({ length: count }, (_, i) => String(Number(first) + i).padStart(first.length, "0"));
}
