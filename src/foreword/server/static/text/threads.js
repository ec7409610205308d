/**
 * Threads of a scan: places in a trie of words that some stretches of a text spell.
 *
 * @typedef {import("./lexicon.js").Node} Node
 * @typedef {{start: number, end: number, severity: string, entry: string}} Match  A bad word: where
 *   it is, and which; never the word itself.
 *
 * @typedef {object} Thread
 * @property {Node} node
 * @property {number} start
 * @property {number} end
 * @property {number} pieces
 * @property {number} gap  Signs since the last letter.
 * @property {boolean} lettered  One was read as a letter.
 * @property {boolean} wild  A wildcard was used.
 * @property {boolean} doubtful  The last letter was a wildcard or a punctuation mark.
 */

/** Pieces so far: single letters, with spaces between, longer. */
export const [SINGLE, SPACED, LONG] = [0, 1, 2];

/** Threads of which those that differ in their beginnings alone are one, the earliest. */
export class Threads {
  /** @type {Thread[]} */
  list = [];
  /** @type {Map<Node, Map<number, number>>} */
  #places = new Map();

  /** @param {Thread} thread */
  keep(thread) {
    const { node, pieces, gap, lettered, wild, doubtful } = thread;
    const read = Number(lettered) * 4 + Number(wild) * 2 + Number(doubtful);
    const kind = (pieces * 4 + gap) * 8 + read;
    let places = this.#places.get(node);
    if (!places) this.#places.set(node, (places = new Map()));
    const place = places.get(kind);
    if (place === undefined) {
      places.set(kind, this.list.length);
      this.list.push(thread);
    } else if (thread.start < this.list[place].start) {
      this.list[place] = thread;
    }
  }
}

/** @param {Thread} thread */
export function spellsWord({ node, gap, lettered, wild, doubtful }) {
  return gap === 0 && lettered && !doubtful && (!wild || node.depth > 3);
}

/**
 * @param {Thread} thread
 * @param {import("./lexicon.js").Entry} entry
 * @returns {Match}
 */
export function matchOf({ start, end }, { id, severity }) {
  return { start, end, severity, entry: id };
}
