/** A word as a POSIX shell must read it: as it is where nothing in it means anything to a shell, else in quotes. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Words as one command line. */
export function quoteWords(words: readonly string[]): string {
  return words.map(quoteWord).join(" ");
}
