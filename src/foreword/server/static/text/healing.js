/**
 * Token healing: the letters typed last constrain the first tokens, however these cut them.
 *
 * A tokenizer cuts "I'm enjoying a del" after "del", and a model seldom goes on from there with
 * "icious": it has learnt "delicious" as one token. So the last word is taken back, and what is
 * generated must begin with its bytes. (Lundberg 2023, "The art of prompt design: prompt boundaries
 * and token healing".)
 *
 * @typedef {import("./bytes.js").Bytes} Bytes
 * @typedef {import("./tokenizer.js").Tokenizer} Tokenizer
 * @typedef {{tokenIds: number[], typed: Bytes}} Healed  The tokens a model is given, and the bytes
 *   that what follows must begin with.
 */

import { bytesOf, textOf } from "./bytes.js";

/** Tokens taken back at most: of text without spaces the last few say enough. */
const MOST_TOKENS = 4;
const MOST_KEPT = 1 << 10;

/** The bytes `of` every token, and the tokens by their bytes; control tokens have none. */
export class Pieces {
  #pieces;
  #ids;
  /** @type {Map<Bytes, number[]>} */
  #kept = new Map();

  /** @param {Tokenizer} tokenizer */
  constructor(tokenizer) {
    const { vocabularySize } = tokenizer;
    /** @type {Bytes[]} */
    this.of = Array.from({ length: vocabularySize }, (_, id) => bytesOf(tokenizer.tokenBytes(id)));
    this.#ids = [...this.of.keys()].filter((id) => this.of[id]);
    this.#ids.sort((a, b) => compare(this.of[a], this.of[b]) || a - b);
    this.#pieces = this.#ids.map((id) => this.of[id]);
  }

  /**
   * Returns the tokens that begin with `typed`, or with which `typed` begins.
   * @param {Bytes} typed  Not empty.
   * @returns {number[]}
   */
  fitting(typed) {
    let found = this.#kept.get(typed);
    if (!found) {
      if (this.#kept.size > MOST_KEPT) this.#kept.clear();
      found = [];
      for (let length = 1; length < typed.length; length += 1) {
        const shorter = typed.slice(0, length);
        found.push(...this.#range(shorter, `${shorter}\0`));
      }
      found = found.concat(this.#range(typed, `${typed}\uffff`)); // above all that begin so
      this.#kept.set(typed, found);
    }
    return found;
  }

  /**
   * The tokens from `low` on and below `high`.
   * @param {Bytes} low
   * @param {string} high
   */
  #range(low, high) {
    return this.#ids.slice(bisectLeft(this.#pieces, low), bisectLeft(this.#pieces, high));
  }
}

/**
 * Takes back the tokens of the word a prompt ends in, or of the space it ends with.
 *
 * A line's end is not taken back, nor is the first token: something must be left to go on from.
 * @param {number[]} tokenIds
 * @param {Tokenizer} tokenizer
 * @param {number | null} start  A leading token that is no text.
 * @returns {Healed}
 */
export function heal(tokenIds, tokenizer, start = null) {
  const piece = (index) => bytesOf(tokenizer.tokenBytes(tokenIds[index]));
  const least = start !== null && tokenIds[0] === start ? 2 : 1;
  const last = tokenIds.length - MOST_TOKENS;
  let cut = tokenIds.length;
  while (cut > Math.max(least, last)) {
    const taken = piece(cut - 1);
    if (!taken || /[\r\n]$/.test(taken)) break;
    cut -= 1;
    if (/^[ \t-\r]/.test(taken) || !withinWord(piece(cut - 1), taken)) break;
  }
  // Half a character is no place to begin.
  let typed = tokenIds
    .slice(cut)
    .map((_, i) => piece(cut + i))
    .join("");
  while (cut < tokenIds.length && (typed.charCodeAt(0) & 0xc0) === 0x80) {
    typed = typed.slice(piece(cut).length);
    cut += 1;
  }
  return { tokenIds: tokenIds.slice(0, cut), typed };
}

/**
 * Returns whether a token goes on with a word, or a space, of the one before it.
 * @param {Bytes} left
 * @param {Bytes} right
 */
function withinWord(left, right) {
  const before = [...textOf(left)].at(-1) ?? " ";
  const [after = " "] = textOf(right);
  return before === " " || [before, after].every((c) => /^[\p{L}\p{N}\ufffd]/u.test(c));
}

/**
 * @param {Bytes[]} sorted
 * @param {string} wanted
 */
function bisectLeft(sorted, wanted) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * @param {Bytes} a
 * @param {Bytes} b
 */
function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}
