// Reading JSON that somebody else made. What does not fit is refused with the place where it went wrong.

/** What was answered is not what the interface promises. */
export class Unreadable extends Error {
  constructor(where: string, wanted: string) {
    super(`${where}: expected ${wanted}`);
  }
}

export type Read<T> = (json: unknown, where: string) => T;

/** Longest text that is shown, in UTF-16 units; a line of a log may be long. */
const MAX_TEXT = 8192;

export const text: Read<string> = (json, where) => {
  if (typeof json !== "string") throw new Unreadable(where, "text");
  return json.length > MAX_TEXT ? `${json.slice(0, MAX_TEXT)}…` : json;
};

export const number: Read<number> = (json, where) => {
  if (typeof json !== "number" || !Number.isFinite(json)) throw new Unreadable(where, "a number");
  return json;
};

export const truth: Read<boolean> = (json, where) => {
  if (typeof json !== "boolean") throw new Unreadable(where, "true or false");
  return json;
};

/** A number as the Beacon API writes it: decimal digits in a string. */
export const decimal: Read<number> = (json, where) => {
  if (typeof json === "string" && /^\d{1,15}$/.test(json)) return Number(json);
  throw new Unreadable(where, "decimal digits in a string");
};

/** One of a few words. */
export function word<T extends string>(...words: readonly T[]): Read<T> {
  return (json, where) => {
    const found = words.find((known) => known === json);
    if (found === undefined) throw new Unreadable(where, words.join(" or "));
    return found;
  };
}

/** `null`, or nothing at all, is `null`. */
export function maybe<T>(read: Read<T>): Read<T | null> {
  return (json, where) => (json === null || json === undefined ? null : read(json, where));
}

/** Nothing at all is `otherwise`. */
export function or<T>(read: Read<T>, otherwise: T): Read<T> {
  return (json, where) => (json === null || json === undefined ? otherwise : read(json, where));
}

/** A list of at most `most`; what is beyond is left out. */
export function list<T>(read: Read<T>, most: number): Read<T[]> {
  return (json, where) => {
    if (!Array.isArray(json)) throw new Unreadable(where, "a list");
    return json.slice(0, most).map((item, at) => read(item, `${where}[${at}]`));
  };
}

/** An object with these fields; others are left out. */
export function fields<T extends object>(readers: { [Key in keyof T]: Read<T[Key]> }): Read<T> {
  return (json, where) => {
    if (typeof json !== "object" || json === null || Array.isArray(json)) throw new Unreadable(where, "an object");
    const from = json as Record<string, unknown>;
    const result: Partial<T> = {};
    for (const key of Object.keys(readers) as (keyof T & string)[]) {
      result[key] = readers[key](Object.hasOwn(from, key) ? from[key] : undefined, `${where}.${key}`);
    }
    return result as T;
  };
}
