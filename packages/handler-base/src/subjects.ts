// Subjects, filters and patterns: how they are read, filled, and how they lie to each other.

/** A subject pattern: literal tokens and fields of the request. */
export interface SubjectPattern {
  /** As the contract spells it, installation prefix included. */
  readonly text: string;
  /** With `*` for every field: what one subscribes to. */
  readonly filter: string;
  /** Index of the token that holds each field, by the field's name in the proto. */
  readonly fields: ReadonlyMap<string, number>;
  readonly tokens: readonly string[];
  /** Name of the field that is the token at the same index; undefined for literals. */
  readonly names: readonly (string | undefined)[];
}

/** A pattern from its text: dots part tokens, `{field}` is one token. */
export function parsePattern(text: string): SubjectPattern {
  const tokens = text.split(".");
  const names = tokens.map((token) => /^\{(\w+)\}$/.exec(token)?.[1]);
  const fields = new Map<string, number>();
  for (const [index, field] of names.entries()) if (field !== undefined) fields.set(field, index);
  const filter = tokens.map((token) => (token.startsWith("{") ? "*" : token)).join(".");
  return { text, filter, fields, tokens, names };
}

const noFields: ReadonlyMap<string, string> = new Map();

/** Values of the fields in a subject that the pattern's filter matched. */
export function fieldsOf(pattern: SubjectPattern, subject: string): ReadonlyMap<string, string> {
  if (pattern.fields.size === 0) return noFields;
  const tokens = subject.split(".");
  const values = new Map<string, string>();
  for (const [field, index] of pattern.fields) values.set(field, tokens[index] ?? "");
  return values;
}

/** The subject that a pattern names for these values, or undefined where a value is missing or is no single literal token. */
export function fill(pattern: SubjectPattern, values: (field: string) => string | undefined): string | undefined {
  const { tokens, names } = pattern;
  let out = "";
  for (let index = 0; index < tokens.length; index += 1) {
    const field = names[index];
    const token = field === undefined ? tokens[index] : values(field);
    if (token === undefined || (field !== undefined && !isToken(token))) return undefined;
    out += index === 0 ? token : `.${token}`;
  }
  return out;
}

/** True for text that is one literal token of a subject. */
export function isToken(text: string): boolean {
  return text !== "" && text.length <= 256 && !/[\s.*>\u0000-\u001f\u007f]/u.test(text);
}

/** Whether a subject (or a filter) lies within a filter. */
export function covers(filter: string, subject: string): boolean {
  if (filter === subject) return true;
  const want = filter.split(".");
  const have = subject.split(".");
  for (const [index, token] of want.entries()) {
    if (token === ">") return have.length > index;
    const other = have[index];
    if (other === undefined || other === ">") return false;
    if (token !== "*" && token !== other) return false;
  }
  return want.length === have.length;
}

/** Whether some subject matches both filters. */
export function overlap(one: string, other: string): boolean {
  const left = one.split(".");
  const right = other.split(".");
  for (let index = 0; ; index++) {
    const a = left[index];
    const b = right[index];
    if (a === undefined || b === undefined) return a === b;
    if (a === ">" || b === ">") return true;
    if (a !== "*" && b !== "*" && a !== b) return false;
  }
}

/** What every subject of a pattern begins with: its literal tokens before the first field, each with its dot. */
export function literalPrefix({ tokens }: SubjectPattern): string {
  const end = tokens.findIndex((token) => token.startsWith("{"));
  return `${tokens.slice(0, end === -1 ? tokens.length : end).join(".")}.`;
}
