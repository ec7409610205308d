/**
 * The safety filter: bad words in what is typed and in what is suggested.
 *
 * One scan reads a prompt and then its suggestion, so that a word half typed is judged with what is
 * suggested for it: `feed` the prompt (a match refuses it), then each piece of the suggestion. Show
 * no more than `safe` code points of both. On a match go back to its `start`: keep a `copy` of the
 * scan for every step. `end` judges the last word, which before may still become another.
 *
 * @typedef {import("./threads.js").Match} Match
 */

import { build } from "./lexicon.js";
import { WordScan } from "./scan.js";

/** What the levels leave out. */
export const LEVELS = {
  off: [],
  default: ["slur", "vulgar"],
  strict: ["slur", "vulgar", "mild"],
};

/** Finds the words of a lexicon. */
export class Filter {
  #lexicon;

  /** @param {import("./lexicon.js").Lexicon} lexicon */
  constructor(lexicon) {
    this.#lexicon = lexicon;
  }

  /**
   * Returns the first bad word of a whole text.
   * @param {string} text
   * @returns {Match | null}
   */
  find(text) {
    const scan = this.scan();
    return scan.feed(text) ?? scan.end();
  }

  /** Begins a text that comes in pieces. */
  scan() {
    return new WordScan(this.#lexicon);
  }
}

/**
 * Makes the filter of a level out of what lexicon.json holds.
 * @param {any} lexicon
 * @param {keyof typeof LEVELS} level  `off` finds the extra words alone.
 * @param {string[]} extra  What is bad as well.
 * @param {string[]} allow  What is not, which wins.
 */
export function loadFilter(lexicon, level = "default", extra = [], allow = []) {
  const severities = LEVELS[level];
  if (!severities) {
    throw new RangeError(`safety level: expected off, default, strict, found ${level}`);
  }
  return new Filter(build(lexicon, severities, extra, allow));
}
