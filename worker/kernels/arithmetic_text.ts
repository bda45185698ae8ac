import { advance, countedLoop, elementwise } from "./wat.ts";
const get = (name: string) => `(local.get ${name})`;

/** dst = a + b; dst may be a or b. */
const add = elementwise({
  name: "add",
  pointers: ["$dst", "$a", "$b"],
  body: (lanes) => lanes.store("$dst", lanes.op("add", lanes.load("$a"), lanes.load("$b"))),
});

/** dst = a · s. */
const scale = elementwise({
  name: "scale",
  pointers: ["$dst", "$a"],
  scalars: ["$s"],
  body: (lanes) => lanes.store("$dst", lanes.op("mul", lanes.load("$a"), lanes.all(get("$s")))),
});

/** dst = a / s, with dst in the result memory. */
const divide = elementwise({
  name: "divide",
  pointers: ["$dst", "$a"],
  scalars: ["$s"],
  body: (lanes) => lanes.store("$dst", lanes.op("div", lanes.load("$a"), lanes.all(get("$s"))), "$result"),
});

/**
 * One AdamW update in place, every operation rounded to float32:
 * G = g·scale, m = m·beta1 + G·(1 − beta1), v = v·beta2 + G²·(1 − beta2), p = p·decay − m·step / (√v·root + eps).
 */
const adamw = elementwise({
  name: "adamw",
  pointers: ["$p", "$g", "$m", "$v"],
  scalars: ["$scale", "$beta1", "$beta2", "$decay", "$step", "$root", "$eps"],
  values: ["G", "M", "V"],
  body: (lanes, local) => {
    const { op, load, store, all } = lanes;
    const rest = (beta: string) => all(`(f32.sub (f32.const 1) ${get(beta)})`);
    const [G, M, V] = ["G", "M", "V"].map((name) => local(name));
    const blend = (pointer: string, beta: string, value: string) =>
      op("add", op("mul", load(pointer), all(get(beta))), op("mul", value, rest(beta)));
    return `
      (local.set ${G} ${op("mul", load("$g"), all(get("$scale")))})
      (local.set ${M} ${blend("$m", "$beta1", get(G))})
      ${store("$m", get(M))}
      (local.set ${V} ${blend("$v", "$beta2", op("mul", get(G), get(G)))})
      ${store("$v", get(V))}
      ${
      store(
        "$p",
        op(
          "sub",
          op("mul", load("$p"), all(get("$decay"))),
          op(
            "div",
            op("mul", get(M), all(get("$step"))),
            op("add", op("mul", op("sqrt", get(V)), all(get("$root"))), all(get("$eps"))),
          ),
        ),
      )
    }`;
  },
});

/** The upper half of a vector as its lower half: WebAssembly promotes only lower halves to float64. */
const upper = (vector: string) => `(i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 ${vector} ${vector})`;

const accumulateSquares = (sum: string, half: string) =>
  `(local.set $wide (f64x2.promote_low_f32x4 ${half}))
   (local.set ${sum} (f64x2.add (local.get ${sum}) (f64x2.mul (local.get $wide) (local.get $wide))))`;

/**
 * The square sum in float64 of n numbers. Element i is added, in order, to sum i mod 4; the result is
 * ((s0 + s2) + (s1 + s3)).
 */
const squares = `(func (export "squares") (param $a i32) (param $n i32) (result f64)
  (local $low v128) (local $high v128) (local $x v128) (local $wide v128)
  ${
  countedLoop(
    "$by4",
    4,
    `(local.set $x (v128.load (local.get $a)))
     ${accumulateSquares("$low", get("$x"))}
     ${accumulateSquares("$high", upper(get("$x")))}
     ${advance("$a", 16)}`,
  )
}
  (if (local.get $n) (then
    (local.set $x (v128.and (v128.load (local.get $a)) (i32x4.gt_u (i32x4.splat (local.get $n)) (v128.const i32x4 0 1 2 3))))
    ${accumulateSquares("$low", get("$x"))}
    ${accumulateSquares("$high", upper(get("$x")))}))
  (local.set $low (f64x2.add (local.get $low) (local.get $high)))
  (f64.add (f64x2.extract_lane 0 (local.get $low)) (f64x2.extract_lane 1 (local.get $low))))`;

/** WebAssembly text of the arithmetic of gradients and parameters. */
export const arithmeticText = [add, scale, divide, adamw, squares].join("\n");
