/**
 * How bad words are found in a text that comes in pieces: the rules of completion/scan.py, where
 * they are explained. Positions count code points.
 *
 * @typedef {import("./lexicon.js").Cell} Cell
 * @typedef {import("./lexicon.js").Lexicon} Lexicon
 * @typedef {import("./lexicon.js").Node} Node
 * @typedef {import("./threads.js").Match} Match
 * @typedef {import("./threads.js").Thread} Thread
 */

import { LONG, matchOf, SINGLE, SPACED, spellsWord, Threads } from "./threads.js";

const MAX_GAP = 3;
/** Code points. */
const MIN_SPACED = 5;

/** One text, read piece by piece; the verdict does not depend on the pieces. */
export class WordScan {
  /** @param {Lexicon} lexicon */
  constructor(lexicon) {
    this.lexicon = lexicon;
    this.length = 0;
    this.script = 0;
    /** @type {Thread[]} */
    this.threads = [];
    /** Words in single letters, until what follows is known; `follower` is -1 before a letter is.
     * @type {{match: Match, gap: number, follower: number}[]} */
    this.spelt = [];
    /** @type {{node: Node, start: number, end: number}[]} */
    this.allowing = [];
    /** @type {{start: number, end: number}[]} */
    this.allowed = [];
    /** Bad unless an allowed text turns out to be around them.
     * @type {Match[]} */
    this.pending = [];
    /** First and last place to cut the text at which leave a bad word, and its start: text shown
     * up to there would be bad, although the whole text is not.
     * @type {{first: number, last: number, start: number}[]} */
    this.badCuts = [];
    /** @type {Match | null} */
    this.found = null;
  }

  /** How many code points of the text no bad word found later can take back. */
  get safe() {
    let safe = this.length;
    for (const { start } of this.threads) safe = Math.min(safe, start);
    for (const { match } of this.spelt) safe = Math.min(safe, match.start);
    for (const { start } of this.pending) safe = Math.min(safe, start);
    if (this.found) safe = Math.min(safe, this.found.start);
    for (const { first, last, start } of [...this.badCuts].reverse()) {
      if (first <= safe && safe <= last) safe = start;
    }
    return safe;
  }

  /** Returns a scan that goes on from here by itself. */
  copy() {
    return Object.assign(new WordScan(this.lexicon), this); // lists are replaced, never changed
  }

  /**
   * Reads on; returns the first bad word that is certain, from then on always the same.
   * @param {string} piece
   * @returns {Match | null}
   */
  feed(piece) {
    for (const character of piece) {
      if (this.found) break;
      for (const cell of this.lexicon.tables.cells(character)) this.#step(cell);
      this.length += 1;
      this.#settle();
    }
    return this.found;
  }

  /**
   * Says that the text is over, which ends its last word.
   * @returns {Match | null}
   */
  end() {
    if (!this.found) {
      this.#endWords();
      const last = this.spelt.filter(({ follower }) => follower < 0).map(({ match }) => match);
      this.pending = [...this.pending, ...last];
      [this.threads, this.spelt, this.allowing] = [[], [], []];
      this.#settle();
    }
    return this.found;
  }

  /** @param {Cell} cell */
  #step(cell) {
    const before = this.script;
    const joined = cell.mark || cell.decoration;
    const boundary = !joined && (!cell.script || cell.script !== before);
    if (boundary) {
      this.#endWords();
    } else if (!joined) {
      const whole = this.threads.filter((thread) => thread.node.whole && spellsWord(thread));
      const last = this.length;
      this.#cutBadly(whole.map(({ end, start }) => ({ first: end, last, start })));
    }
    if (!joined) {
      this.script = cell.script;
      if (this.spelt.length > 0) this.#follow(cell, boundary);
    }
    this.#allow(cell, boundary);
    const grown = new Threads();
    for (const thread of this.threads) this.#advance(thread, cell, grown);
    if (!joined) this.#begin(cell, before, grown);
    this.threads = grown.list;
    const bad = this.threads.filter(
      (thread) =>
        thread.node.inner &&
        spellsWord(thread) &&
        (thread.pieces !== SPACED || thread.end - thread.start >= MIN_SPACED),
    );
    if (bad.length > 0) {
      this.pending = [...this.pending, ...bad.map((thread) => matchOf(thread, thread.node.inner))];
    }
  }

  /**
   * @param {Cell} cell
   * @param {number} before  The script before it.
   * @param {Threads} grown
   */
  #begin(cell, before, grown) {
    const begins = !before || (cell.script > 0 && cell.script !== before);
    const node = begins ? this.lexicon.begin : this.lexicon.inside;
    const pieces = begins ? SINGLE : LONG;
    const nothing = { gap: 0, lettered: false, wild: false, doubtful: false };
    const seed = { node, start: this.length, end: this.length, pieces, ...nothing };
    for (const [reading, letter] of cell.readings) {
      const child = node.children.get(reading);
      if (child) grown.keep(this.#move(seed, child, pieces, cell, letter));
    }
  }

  /**
   * @param {Thread} thread
   * @param {Cell} cell
   * @param {Threads} grown
   */
  #advance(thread, cell, grown) {
    const { node, pieces, gap } = thread;
    const { children } = node;
    if (cell.mark || cell.decoration) {
      if (cell.decoration) grown.keep(thread);
      const child = children.get(cell.letter);
      if (child) grown.keep(this.#move(thread, child, pieces, cell, false));
      return;
    }
    const close = gap === 0 && this.length >= thread.end;
    if (!(close && pieces === SPACED)) {
      const longer = close ? LONG : pieces;
      for (const [reading, letter] of cell.readings) {
        const child = children.get(reading);
        if (child) grown.keep(this.#move(thread, child, longer, cell, letter));
      }
      if (cell.wildcard && close) {
        for (const [letter, child] of children) {
          if (letter === " ") continue;
          const moved = this.#move(thread, child, LONG, cell, false);
          grown.keep({ ...moved, wild: true, doubtful: true });
        }
      }
    }
    if (gap === 0 && node.letter && cell.repeats.includes(node.letter)) {
      grown.keep({ ...thread, end: this.length + 1 });
    }
    if (cell.gap && cell.gap !== "end" && gap < MAX_GAP) {
      if (node.letter === " ") {
        grown.keep({ ...thread, gap: gap + 1 });
      } else if (pieces !== LONG) {
        const spaced = cell.gap === "tight" && pieces === SINGLE ? SINGLE : SPACED;
        grown.keep({ ...thread, pieces: spaced, gap: gap + 1 });
      } else if (cell.gap === "tight" && gap === 0) {
        grown.keep({ ...thread, gap: 1 });
      }
      const space = children.get(" ");
      if (space && gap === 0 && pieces !== SPACED) {
        grown.keep(this.#move(thread, space, LONG, cell, false));
      }
    }
  }

  /**
   * @param {Thread} thread
   * @param {Node} node
   * @param {number} pieces
   * @param {Cell} cell
   * @param {boolean} letter
   * @returns {Thread}
   */
  #move(thread, node, pieces, cell, letter) {
    const { start, wild } = thread;
    const lettered = thread.lettered || letter;
    const doubtful = cell.punctuation;
    return { node, start, end: this.length + 1, pieces, gap: 0, lettered, wild, doubtful };
  }

  /** Bad and allowed words that end before the current cell. */
  #endWords() {
    for (const thread of this.threads) {
      if (!thread.node.whole || !spellsWord(thread)) continue;
      const match = matchOf(thread, thread.node.whole);
      if (thread.pieces === LONG || match.end - match.start === 1) {
        this.pending = [...this.pending, match];
      } else {
        this.spelt = [...this.spelt, { match, gap: 0, follower: -1 }];
      }
    }
    for (const { node, start, end } of this.allowing) {
      if (node.whole) this.allowed = [...this.allowed, { start, end }];
    }
  }

  /**
   * Words in single letters: bad if no other single letter follows.
   * @param {Cell} cell
   * @param {boolean} boundary
   */
  #follow(cell, boundary) {
    const waiting = [];
    for (const { match, gap, follower } of this.spelt) {
      if (follower < 0 && cell.script) {
        waiting.push({ match, gap, follower: this.length });
      } else if (follower < 0 && cell.gap !== "end" && gap < MAX_GAP) {
        waiting.push({ match, gap: gap + 1, follower: -1 });
      } else if (follower === this.length) {
        waiting.push({ match, gap, follower });
      } else if (follower < 0 || !boundary) {
        this.pending = [...this.pending, match];
      } else {
        this.#cutBadly([{ first: match.end, last: follower, start: match.start }]);
      }
    }
    this.spelt = waiting;
  }

  /**
   * Goes on with the allowed texts; one may begin at a boundary.
   * @param {Cell} cell
   * @param {boolean} boundary
   */
  #allow(cell, boundary) {
    const going = [];
    const letter = cell.gap && cell.gap !== "end" ? " " : cell.letter;
    for (const allowing of this.allowing) {
      const { node, start } = allowing;
      const child = node.children.get(letter);
      if (child) going.push({ node: child, start, end: this.length + 1 });
      else if (cell.decoration || (letter === " " && node.letter === " ")) going.push(allowing);
    }
    if (boundary && cell.script) {
      const node = this.lexicon.allow.children.get(cell.letter);
      if (node) going.push({ node, start: this.length, end: this.length + 1 });
    }
    this.allowing = going;
  }

  /** @param {{first: number, last: number, start: number}[]} cuts */
  #cutBadly(cuts) {
    if (cuts.length > 0) this.badCuts = [...this.badCuts, ...cuts];
  }

  /** Finds the first word that no allowed text can still be around. */
  #settle() {
    const bad = [];
    for (const match of this.pending) {
      const around = this.allowed.filter(
        ({ start, end }) => start <= match.start && match.end <= end,
      );
      if (around.length > 0) {
        const last = Math.max(...around.map(({ end }) => end)) - 1;
        this.#cutBadly([{ first: match.end, last, start: match.start }]);
      } else {
        bad.push(match);
      }
    }
    this.pending = bad;
    if (bad.length > 0) {
      const first = Math.min(this.length, ...this.allowing.map(({ start }) => start));
      const certain = bad.filter((match) => match.start < first);
      if (certain.length > 0) {
        this.found = certain.reduce((a, b) => (goesFirst(b, a) ? b : a));
        return;
      }
    }
    if (this.allowed.length > 0 || this.badCuts.length > 0) {
      const { safe } = this;
      this.allowed = this.allowed.filter(({ end }) => end > safe);
      this.badCuts = this.badCuts.filter(({ last }) => last > safe);
    }
  }
}

/**
 * Whether a bad word goes before another: of several certain at once, the one that begins first,
 * then the longest. Of two entries for the same place either may do.
 * @param {Match} a
 * @param {Match} b
 */
function goesFirst(a, b) {
  return a.start !== b.start ? a.start < b.start : a.end > b.end;
}
