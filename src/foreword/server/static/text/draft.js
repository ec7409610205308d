/**
 * One suggestion as it grows, token by token.
 *
 * @typedef {import("./bytes.js").Bytes} Bytes
 * @typedef {import("./suggestion.js").Suggestion} Suggestion
 */

import { wholeText } from "./bytes.js";
import { divides } from "./words.js";

/** Tokens after a prompt, the logarithms of their probabilities, and their text so far. */
export class Draft {
  /** @type {number[]} */
  tokenIds = [];
  /** @type {number[]} */
  logprobs = [];
  /** @type {number[]} Of each token in the text. */
  offsets = [];
  /** @type {Bytes} */
  raw = "";
  text = "";
  ended = false;
  /** @type {Suggestion | null} What was fit to be shown already; it is not taken back. */
  shown = null;

  /** @param {Bytes} typed */
  constructor(typed) {
    this.typed = typed;
  }

  /**
   * Adds a token and returns the text it brings, null where its bytes make none.
   * @param {number} tokenId
   * @param {number} logprob
   * @param {Bytes} piece
   */
  add(tokenId, logprob, piece) {
    const text = wholeText((this.raw + piece).slice(this.typed.length));
    if (text === null) return null;
    const fresh = text.slice(this.text.length);
    this.tokenIds.push(tokenId);
    this.logprobs.push(logprob);
    this.offsets.push(this.text.length);
    this.raw += piece;
    this.text = text;
    return fresh;
  }

  /**
   * Takes back the tokens from `place` on.
   * @param {number} place
   * @param {number[]} sizes  Bytes of all tokens.
   */
  backTo(place, sizes) {
    const size = sizes.slice(0, place).reduce((sum, bytes) => sum + bytes, 0);
    this.raw = this.raw.slice(0, size);
    this.text = wholeText(this.raw.slice(this.typed.length)) ?? "";
    for (const list of [this.tokenIds, this.logprobs, this.offsets]) list.length = place;
    this.ended = false;
  }

  /**
   * Returns a suggestion if it says more than is shown already, else what is shown.
   * @param {Suggestion | null} suggestion
   */
  agreed(suggestion) {
    if (!this.shown || !suggestion) return this.shown ?? suggestion;
    const [shown, { text }] = [this.shown.text, suggestion];
    const more = text !== shown && text.startsWith(shown);
    return more && divides(shown, text.slice(shown.length)) ? suggestion : this.shown;
  }

  /**
   * Returns the logarithms of the probabilities of the parts that end there, and the rest.
   * @param {number[]} ends
   */
  sums(ends) {
    const found = new Array(ends.length + 1).fill(0);
    this.offsets.forEach((offset, i) => {
      found[countUpTo(ends, offset)] += this.logprobs[i];
    });
    return found;
  }
}

/**
 * Returns how many of sorted numbers are at most `value`.
 * @param {number[]} sorted
 * @param {number} value
 */
export function countUpTo(sorted, value) {
  return sorted.filter((one) => one <= value).length;
}
