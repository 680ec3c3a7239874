// Words of a text as the keyword index counts them: lower case, lightly stemmed, identifiers whole and in parts.

/** Words that stand in every text and tell none from another. */
const common = new Set(
  (
    "a an and are as at be been but by can could did do does for from had has have how if in into is it its " +
    "may more most no not of on or our should so some such than that the their them then there these they this those to " +
    "was we were what when where which while who why will with would you your"
  ).split(" "),
);

const wordPattern = /[\p{L}\p{N}]+(?:[_.\-/][\p{L}\p{N}]+)*/gu;

/** The words of a text, in order, repeated as often as they stand there. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [raw] of text.normalize("NFKC").matchAll(wordPattern)) {
    const parts = raw.split(/[_.\-/]/).flatMap(splitCamelCase);
    for (const part of parts) add(part.toLowerCase(), words);
    // "num_ack_pending" is found by the whole name, too, and there it weighs more than its parts
    if (parts.length > 1) words.push(raw.toLowerCase());
  }
  return words;
}

function add(word: string, words: string[]): void {
  if (!common.has(word)) words.push(stem(word));
}

function splitCamelCase(word: string): string[] {
  return word.split(/(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u);
}

/** Takes English endings off, in a fixed order and never below three letters: "retries", "retried", "retry" meet in one word. */
export function stem(word: string): string {
  let rest = word;
  if (rest.length > 4 && rest.endsWith("ies")) rest = `${rest.slice(0, -3)}y`;
  else if (rest.length > 4 && /(?:ss|x|ch|sh)es$/.test(rest)) rest = rest.slice(0, -2);
  else if (rest.length > 3 && /[^su]s$/.test(rest)) rest = rest.slice(0, -1);
  if (rest.length > 4 && rest.endsWith("ied")) rest = `${rest.slice(0, -3)}y`;
  else if (rest.length > 5 && rest.endsWith("ing") && hasVowel(rest.slice(0, -3))) rest = single(rest.slice(0, -3));
  else if (rest.length > 4 && rest.endsWith("ed") && hasVowel(rest.slice(0, -2))) rest = single(rest.slice(0, -2));
  else if (rest.length > 5 && rest.endsWith("ly")) rest = rest.slice(0, -2);
  return rest.length > 4 && rest.endsWith("e") ? rest.slice(0, -1) : rest;
}

function hasVowel(text: string): boolean {
  return /[aeiouy]/.test(text);
}

/** "stopp" → "stop", but "call" stays. */
function single(text: string): string {
  return /([bdgmnprt])\1$/.test(text) ? text.slice(0, -1) : text;
}
