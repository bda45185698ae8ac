import assert from "node:assert/strict";
import fc from "fast-check";
import { LockstepError } from "../../../shared/errors.ts";
import {
  type Dtype,
  encodeHeader,
  parseHeader,
  tensorBytes,
} from "../../../shared/checkpoint/safetensors_header.ts";

function parse(json: string, dataBytes: number) {
  return parseHeader(new TextEncoder().encode(json), { path: "x.safetensors", dataBytes });
}

function refuses(title: string, options: { json: string; dataBytes: number; message: RegExp }): void {
  Deno.test(`parseHeader() refuses ${title}`, () => {
    assert.throws(() => parse(options.json, options.dataBytes), (error) => {
      assert(error instanceof LockstepError);
      assert.equal(error.code, "E_WEIGHTS");
      assert.match(error.message, options.message);
      return true;
    });
  });
}

const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`;
const b = `"b":{"dtype":"I32","shape":[1],"data_offsets":[8,12]}`;

Deno.test("parseHeader() gives tensors in the order of their bytes, whatever the order of the keys", () => {
  const { tensors, metadata } = parse(`{${b}, "__metadata__": {"format":"pt"}, ${a}}  `, 12);
  assert.deepEqual(tensors, [
    { name: "a", dtype: "F32", shape: [2], begin: 0, end: 8 },
    { name: "b", dtype: "I32", shape: [1], begin: 8, end: 12 },
  ]);
  assert.deepEqual({ ...metadata }, { format: "pt" });
});

Deno.test("parseHeader() takes scalars, empty tensors and names with quotes, colons and braces", () => {
  const name = 'x":{y,\\"';
  const json = `{${JSON.stringify(name)}:{"dtype":"F32","shape":[],"data_offsets":[0,4]},` +
    `"empty":{"dtype":"F64","shape":[3,0],"data_offsets":[4,4]}}`;
  assert.deepEqual(parse(json, 4).tensors.map((tensor) => tensor.name), [name, "empty"]);
});

refuses("a key that stands twice", { json: `{${a},${a}}`, dataBytes: 8, message: /a key twice/ });
refuses("a key that stands twice, once escaped", {
  json: `{${a},${a.replace('"a"', '"\\u0061"')}}`,
  dataBytes: 8,
  message: /a key twice/,
});
refuses("a field that stands twice", {
  json: `{${a.replace("{", '{"dtype":"F32",')}}`,
  dataBytes: 8,
  message: /a key twice/,
});
refuses("a metadata key that stands twice", {
  json: `{"__metadata__":{"k":"1","k":"2"},${a}}`,
  dataBytes: 8,
  message: /a key twice/,
});
refuses("metadata that is no string", {
  json: `{"__metadata__":{"k":1},${a}}`,
  dataBytes: 8,
  message: /other than strings/,
});
refuses("overlapping tensors", {
  json: `{${a},${b.replace("[8,12]", "[4,8]")}}`,
  dataBytes: 8,
  message: /"b" must begin at byte 8 of the data: it begins at 4/,
});
refuses("a gap between tensors", {
  json: `{${a},${b.replace("[8,12]", "[12,16]")}}`,
  dataBytes: 16,
  message: /must begin at byte 8/,
});
refuses("data after the last tensor", {
  json: `{${a}}`,
  dataBytes: 9,
  message: /need 8 bytes of data: it has 9/,
});
refuses("data that is too short", {
  json: `{${a}}`,
  dataBytes: 7,
  message: /need 8 bytes of data: it has 7/,
});
refuses("offsets that do not fit the shape", {
  json: `{${a.replace("[2]", "[3]")}}`,
  dataBytes: 8,
  message: /must have 12 bytes/,
});
refuses("an unknown dtype", {
  json: `{${a.replace("F32", "F31")}}`,
  dataBytes: 8,
  message: /"a" needs a known dtype/,
});
refuses("a number above 2^53", {
  json: `{${a.replace("[2]", "[9007199254740993]")}}`,
  dataBytes: 8,
  message: /below 2\^53/,
});
refuses("a shape whose product overflows", {
  json: `{${a.replace("[2]", "[4294967296,4294967296]")}}`,
  dataBytes: 8,
  message: /more than 2\^53 bytes/,
});
for (const number of ["2.0", "2e0", "-2", "true", "null"]) {
  refuses(`${number} in place of a whole number`, {
    json: `{${a.replace("[2]", `[${number}]`)}}`,
    dataBytes: 8,
    message: /other than strings and whole numbers/,
  });
}
refuses("an array in place of an object", { json: `[]`, dataBytes: 0, message: /no JSON object/ });
refuses("text that is no JSON", { json: `{"a":`, dataBytes: 0, message: /no UTF-8 JSON/ });
refuses("a tensor with a field that nobody knows", {
  json: `{${a.replace("{", '{"strides":[1],')}}`,
  dataBytes: 8,
  message: /needs a known dtype/,
});

const specs = fc.uniqueArray(
  fc.record({
    name: fc.string({ unit: "binary" }).filter((name) => name !== "__metadata__"),
    dtype: fc.constantFrom<Dtype>("F32", "I32", "BF16", "I64", "U8"),
    shape: fc.array(fc.nat(5), { maxLength: 4 }),
  }),
  { selector: ({ name }) => new TextDecoder().decode(new TextEncoder().encode(name)), maxLength: 8 },
);

Deno.test("encodeHeader() is read back by parseHeader(), in the order given and aligned to 8 bytes", () => {
  fc.assert(fc.property(specs, (tensors) => {
    const bytes = encodeHeader(tensors, { format: "pt" });
    assert.equal(bytes.byteLength % 8, 0);
    assert.equal(Number(new DataView(bytes.buffer).getBigUint64(0, true)), bytes.byteLength - 8);
    const end = tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
    const read = parseHeader(bytes.subarray(8), { path: "x", dataBytes: end });
    const names = new Set(read.tensors.map(({ name }) => name));
    assert.equal(names.size, tensors.length);
    assert.deepEqual(
      read.tensors.filter(({ begin, end }) => begin !== end).map(({ name, dtype, shape }) => ({
        name,
        dtype,
        shape,
      })),
      tensors.filter(({ shape }) => !shape.includes(0)).map((tensor) => ({
        ...tensor,
        name: wellFormed(tensor.name),
      })),
    );
  }));
});

function wellFormed(text: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}

Deno.test("encodeHeader() refuses a name given twice and a negative dimension", () => {
  const one = { name: "a", dtype: "F32", shape: [1] } as const;
  assert.throws(() => encodeHeader([one, one]), { code: "E_WEIGHTS" });
  assert.throws(() => encodeHeader([{ ...one, shape: [-1, -1] }]), { code: "E_WEIGHTS" });
});

Deno.test("parseHeader() refuses or parses any bytes, and throws nothing but E_WEIGHTS", () => {
  const good = new TextEncoder().encode(`{"__metadata__":{"k":"v"},${a},${b}}`);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (edits) => {
        const bytes = good.slice();
        for (const [at, value] of edits) bytes[at] = value;
        try {
          parseHeader(bytes, { path: "x", dataBytes: 12 });
        } catch (error) {
          assert(error instanceof LockstepError && error.code === "E_WEIGHTS", String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});
