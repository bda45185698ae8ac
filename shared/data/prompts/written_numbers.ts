import type { StreamDecoder } from "../tokenizers/tokenizer.ts";

/** Whole numbers as a person writes them, "3 1 4" or "3,1,4": those below `below`, and the first word that is none of them. */
export function readNumbers(
  text: string,
  below: number,
): { readonly numbers: number[]; readonly wrong: string | undefined } {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  const wrong = words.find((word) => !/^\d+$/.test(word) || Number(word) >= below);
  return { numbers: words.map(Number), wrong };
}

/** Writes ids with spaces between them, each as `show` says. */
export function numbersDecoder(show: (id: number) => string = String): StreamDecoder {
  let gap = "";
  return {
    push(id) {
      const text = gap + show(id);
      gap = " ";
      return text;
    },
    end: () => "",
  };
}
