// @ts-self-types="./tokenizer.d.mts"
/** Text to token ids and back, as config.json describes it: `{ encode(text): ids, decode(ids): text }`. */
export async function openTokenizer({ lockstep, vocab_size }, readFile) {
  const kind = lockstep?.tokenizer?.tokenizer;
  if (kind === "char") return charTokenizer([...lockstep.tokenizer.chars]);
  if (kind === "byte") return byteTokenizer();
  if (kind === "gpt2") {
    return bytePairTokenizer(JSON.parse(await readFile("vocab.json")), await readFile("merges.txt"));
  }
  return idTokenizer(vocab_size, lockstep?.dataset === "sort" ? [lockstep.sort.values] : []);
}

function charTokenizer(chars) {
  const ids = new Map(chars.map((char, id) => [char, id]));
  return {
    encode: (text) =>
      Array.from(text, (char) => {
        if (!ids.has(char)) {
          throw new RangeError(`The model does not know the character ${JSON.stringify(char)}`);
        }
        return ids.get(char);
      }),
    decode: (tokens) => tokens.map((id) => chars[id] ?? "\ufffd").join(""),
  };
}

function byteTokenizer() {
  return {
    encode: (text) => [...new TextEncoder().encode(text)],
    decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens)),
  };
}

/** Ids with spaces between them; a model that sorts wants its separator after the numbers. */
function idTokenizer(count, ending) {
  return {
    encode: (text) => {
      const ids = text.split(/[\s,]+/).filter((word) => word !== "").map(Number);
      if (ids.every((id) => Number.isInteger(id) && id >= 0 && id < count)) return [...ids, ...ending];
      throw new RangeError(`The model reads whole numbers from 0 to ${count - 1}`);
    },
    decode: (tokens) => tokens.map((id) => ` ${id}`).join(""),
  };
}

const WORDS = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
const END = "<|endoftext|>";

/** GPT-2's: each byte has a letter, and pairs of letters are joined in the order of merges.txt. */
function bytePairTokenizer(vocabulary, merges) {
  const letters = byteLetters();
  const bytes = new Map(letters.map((letter, byte) => [letter, byte]));
  const ranks = new Map(
    merges.split("\n").filter((line) => line !== "" && !line.startsWith("#version")).map((
      pair,
      i,
    ) => [pair, i]),
  );
  const tokens = [];
  for (const [token, id] of Object.entries(vocabulary)) tokens[id] = token;
  const utf8 = new TextEncoder();
  const encodeWord = (word) =>
    join(Array.from(utf8.encode(word), (byte) => letters[byte]), ranks).map((token) => vocabulary[token]);
  const encodePart = (text) => (text.match(WORDS) ?? []).flatMap(encodeWord);
  return {
    encode: (text) =>
      text.split(END).flatMap((part, i) => [...(i > 0 ? [vocabulary[END]] : []), ...encodePart(part)]),
    decode: (ids) => {
      const spelled = ids.map((id) => tokens[id] ?? "");
      const all = spelled.flatMap((token) =>
        token === END ? [...utf8.encode(END)] : Array.from(token, (letter) => bytes.get(letter))
      );
      return new TextDecoder().decode(Uint8Array.from(all));
    },
  };
}

function join(parts, ranks) {
  while (parts.length > 1) {
    const found = parts.slice(1).map((part, i) => ranks.get(`${parts[i]} ${part}`) ?? Infinity);
    const least = Math.min(...found);
    if (least === Infinity) return parts;
    const at = found.indexOf(least);
    parts = [...parts.slice(0, at), parts[at] + parts[at + 1], ...parts.slice(at + 2)];
  }
  return parts;
}

function byteLetters() {
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const isShown = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(isShown ? byte : 0x100 + hidden++);
  });
}
