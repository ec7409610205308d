/**
 * Words and characters as a reader counts them, in any script.
 *
 * A word is a run of letters and digits, with the marks within it ("don't", "3.14"); in scripts
 * that do not put spaces between words (Han, kana, Thai, Lao, Khmer, Burmese …) every character
 * is one. A run of other marks stands by itself, and is no word. A character is an extended
 * grapheme cluster (Unicode Standard Annex 29). Positions count UTF-16 code units, as strings do.
 *
 * @typedef {{end: number, isWord: boolean}} Part  A word of a text, or a run of marks: up to `end`,
 *   with the spaces before it.
 */

/** Code units after the cursor that a suggestion is compared with, at most. */
const COMPARED = 4096;
/** Code points that a character can reach across: flags and families of emoji are the longest. */
const REACH = 32;

const SPACE = /^[\p{White_Space}\x1c-\x1f]/u;
const LEADING = /^[\p{White_Space}\x1c-\x1f]+/u;
const TRAILING = /[\p{White_Space}\x1c-\x1f]+$/u;
const WHITE = /^\p{White_Space}/u;
const ALPHANUMERIC = /[\p{L}\p{N}]/u;
const BEGINS_ALPHANUMERIC = /^[\p{L}\p{N}]/u;
const UNSPACED = new RegExp(
  "^[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}" +
    "\\p{Script=Khmer}\\p{Script=Myanmar}\\p{Script=Tibetan}\\p{Script=Javanese}]",
  "u",
);
const JOINERS = "'’._-";
// The end of a sentence: its mark, quotes and brackets that close, and then something else.
const SENTENCE = /[.!?…]+["'”’»)\]]*(?=\p{White_Space})|[。！？｡]+[」』”’）]*/u;

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * Returns the words and runs of marks of a text, in order.
 * @param {string} text
 * @returns {Part[]}
 */
export function partsOf(text) {
  const scanner = new Scanner(text);
  const parts = [];
  for (let start = 0; ;) {
    const from = scanner.spaceEnd(start);
    if (from >= text.length) return parts;
    const end = scanner.partEnd(from);
    parts.push({ end, isWord: ALPHANUMERIC.test(text.slice(start, end)) });
    start = end;
  }
}

/**
 * Returns the parts of a text that are the same whatever is written behind it.
 * @param {string} text
 * @returns {Part[]}
 */
export function settledParts(text) {
  const parts = partsOf(text);
  if (parts.at(-1)?.end === text.length) {
    parts.pop();
    // "don" and its mark may become "don't".
    const last = parts.at(-1);
    if (last?.isWord && JOINERS.includes(text.slice(last.end))) parts.pop();
  }
  return parts;
}

/**
 * Returns where a text begins to say what follows it, its length where it does not.
 *
 * Compared are whole words and marks, up to the end of the shorter; what follows is the rest of a
 * line. White space counts only at the cut: there is to be some before what follows.
 * @param {string} text
 * @param {string} following
 */
export function repeatsFrom(text, following) {
  const [line] = following.slice(0, COMPARED).split("\n", 1);
  const said = cut(text);
  const nextSaid = cut(line).map(trim);
  if (nextSaid.length === 0) return text.length;
  let start = 0;
  for (const [i, part] of said.entries()) {
    const count = Math.min(said.length - i, nextSaid.length);
    if (nextSaid.slice(0, count).every((next, k) => trim(said[i + k]) === next)) {
      return start + (SPACE.test(line) ? 0 : part.length - trimStart(part).length);
    }
    start += part.length;
  }
  return text.length;
}

/**
 * Returns the end of a text that has its last `count` words, without the space before them.
 * @param {string} text
 * @param {number} count
 */
export function lastWords(text, count) {
  const starts = [];
  let start = 0;
  for (const { end, isWord } of partsOf(text)) {
    if (isWord) starts.push(start);
    start = end;
  }
  return starts.length <= count ? text : trimStart(text.slice(starts.at(-count)));
}

/**
 * Returns the first word of a text, with what is before it and the marks right behind it.
 * @param {string} text
 */
export function firstWord(text) {
  const parts = partsOf(text);
  const found = parts.findIndex((part) => part.isWord);
  const count = found < 0 ? parts.length : found + 1;
  let end = parts[count - 1]?.end ?? 0;
  if (count < parts.length && !parts[count].isWord && !SPACE.test(text.slice(end))) {
    end = parts[count].end;
  }
  return text.slice(0, end);
}

/**
 * Returns where the first sentence of a text ends, null where it does not in this text.
 *
 * A mark such as a full stop ends one only when white space follows.
 * @param {string} text
 * @returns {number | null}
 */
export function sentenceEnd(text) {
  const match = SENTENCE.exec(text);
  return match ? match.index + match[0].length : null;
}

/**
 * Returns the characters of a text as a reader sees them.
 * @param {string} text
 * @returns {string[]}
 */
export function characters(text) {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/**
 * Returns whether a character ends between two texts.
 * @param {string} before
 * @param {string} after
 */
export function divides(before, after) {
  if (!before || !after) return true;
  const near = [...before.slice(-2 * REACH)].slice(-REACH).join("");
  const next = [...after.slice(0, 2 * REACH)].slice(0, REACH).join("");
  let position = 0;
  for (const character of characters(near + next)) {
    position += character.length;
    if (position >= near.length) break;
  }
  return position === near.length;
}

/**
 * Returns whether a text begins with white space.
 * @param {string} text
 */
export function beginsWithSpace(text) {
  return SPACE.test(text);
}

/** @param {string} text */
export function trimStart(text) {
  return text.replace(LEADING, "");
}

/** @param {string} text */
function trim(text) {
  return trimStart(text).replace(TRAILING, "");
}

/**
 * Returns the words and runs of marks of a text, with the spaces before them.
 * @param {string} text
 */
function cut(text) {
  return partsOf(text).map(({ end }, i, parts) => text.slice(parts[i - 1]?.end ?? 0, end));
}

/** Finds the ends of parts; JavaScript's patterns know code points only, no characters. */
class Scanner {
  #text;
  #ends;
  #passed = 0;

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
    let end = 0;
    this.#ends = characters(text).map((character) => (end += character.length));
  }

  /** @param {number} at */
  spaceEnd(at) {
    while (at < this.#text.length && WHITE.test(this.#text[at])) at += 1;
    return at;
  }

  /** @param {number} at  A place before what is no white space. */
  partEnd(at) {
    if (UNSPACED.test(this.#from(at))) return this.#characterEnd(at);
    if (this.#isLetter(at)) return this.#wordEnd(at);
    while (this.#isMark(at)) at = this.#characterEnd(at);
    return at;
  }

  /** @param {number} at */
  #wordEnd(at) {
    while (this.#isLetter(at)) {
      do at = this.#characterEnd(at);
      while (this.#isLetter(at));
      const joined = at < this.#text.length && JOINERS.includes(this.#text[at]);
      if (joined && this.#isLetter(at + 1)) at += 1;
    }
    return at;
  }

  /** @param {number} at */
  #isLetter(at) {
    const rest = this.#from(at);
    return BEGINS_ALPHANUMERIC.test(rest) && !UNSPACED.test(rest);
  }

  /** @param {number} at */
  #isMark(at) {
    const rest = this.#from(at);
    return rest !== "" && !WHITE.test(rest) && !BEGINS_ALPHANUMERIC.test(rest);
  }

  /**
   * The code point at a place, or nothing at the end.
   * @param {number} at
   */
  #from(at) {
    return at < this.#text.length ? String.fromCodePoint(this.#text.codePointAt(at)) : "";
  }

  /**
   * Where the character ends that a place is in; places are asked for in order.
   * @param {number} at
   */
  #characterEnd(at) {
    while (this.#ends[this.#passed] <= at) this.#passed += 1;
    return this.#ends[this.#passed];
  }
}
