/**
 * What the word filter looks for and how letters are read: the lexicon that completion/lexicon.py
 * describes, `lexicon.json`.
 *
 * @typedef {{id: string, severity: string}} Entry  A word of the lexicon, or of a user's list.
 *
 * @typedef {object} Cell  One letter of a text after folding, with all that the filter asks of it.
 * @property {string} letter
 * @property {number} script  0: in no word; letters of different scripts have a boundary between.
 * @property {boolean} mark  Joined to the letter before.
 * @property {"" | "tight" | "loose" | "end"} gap  "" for a letter; what may stand between letters;
 *   "end" for what may not.
 * @property {[string, boolean][]} readings  Letters to read it as; true for one, not a digit.
 * @property {string} repeats  Those of the readings that may be repeated.
 * @property {boolean} punctuation
 * @property {boolean} wildcard
 * @property {boolean} decoration
 *
 * @typedef {{tables: Tables, begin: Node, inside: Node, allow: Node}} Lexicon  Words in tries:
 *   `begin` is searched where a word begins, `inside` where none does.
 */

const MOST_CELLS = 10_000;
const LINE_ENDS = "\n\r\u2028\u2029";

/** A node of a trie: the letters up to it are the beginning of a word, or a word. */
export class Node {
  /** @type {Map<string, Node>} */
  children = new Map();
  /** @type {Entry | null} Bad where the word ends here. */
  whole = null;
  /** @type {Entry | null} Bad whatever follows. */
  inner = null;

  constructor(letter = "", depth = 0) {
    this.letter = letter;
    this.depth = depth;
  }

  /**
   * Puts in a word and returns its node; what is there already stays.
   * @param {string} letters
   * @param {Entry} entry
   */
  add(letters, entry, whole = true) {
    let node = /** @type {Node} */ (this);
    for (const letter of letters) {
      let child = node.children.get(letter);
      if (!child) node.children.set(letter, (child = new Node(letter, node.depth + 1)));
      node = child;
    }
    if (whole) node.whole ??= entry;
    else node.inner ??= entry;
    return node;
  }
}

/**
 * How characters are read: the tables of the lexicon except its words.
 *
 * A letter (Unicode category L, N or M) has the script of its range, else 1; it can be read as
 * itself. All else is of script 0 and a gap, but a symbol (category S) that is in neither `signs`
 * nor `tight`, as an emoji, can be read as itself, too. `look_alikes` and `signs` add readings.
 * Read as itself, a digit does not count as a letter; nor does what is read by `signs`.
 */
export class Tables {
  #document;
  /** @type {Map<string, Cell[]>} */
  #cells = new Map();

  /** @param {any} document */
  constructor(document) {
    this.#document = document;
  }

  /**
   * Returns the cells of one code point: NFKD, then lower case, then `folds`.
   * @param {string} character
   */
  cells(character) {
    let found = this.#cells.get(character);
    if (!found) {
      if (this.#cells.size > MOST_CELLS) this.#cells.clear();
      const lowered = [...character.normalize("NFKD").toLowerCase()];
      const folded = lowered.map((letter) => this.#document.folds[letter] ?? letter).join("");
      found = Array.from(folded, (letter) => this.#cell(letter));
      this.#cells.set(character, found);
    }
    return found;
  }

  /**
   * Folds a word as it goes into a trie: gaps become one space each.
   * @param {string} text
   */
  letters(text) {
    const cells = Array.from(text).flatMap((character) => this.cells(character));
    const own = (cell) => cell.readings.some(([letter]) => letter === cell.letter);
    const words = cells.map((cell) => (cell.gap && !own(cell) ? " " : cell.letter)).join("");
    return words
      .split(/\p{White_Space}+/u)
      .filter(Boolean)
      .join(" ");
  }

  /**
   * Whether a folded word is of a script that does not part its words, Korean left out.
   * @param {string} letters
   */
  unspaced(letters) {
    return Array.from(letters).every((letter) => this.#cell(letter).script > 2);
  }

  /**
   * @param {string} letter
   * @returns {Cell}
   */
  #cell(letter) {
    const { scripts, decorations, repeatable, tight, signs, look_alikes, wildcards } =
      this.#document;
    const point = letter.codePointAt(0);
    const script = /[\p{L}\p{N}\p{M}]/u.test(letter) ? (rangeOf(scripts, point)?.[2] ?? 1) : 0;
    /** @type {Cell["gap"]} */
    let gap = "";
    if (!script) {
      if (LINE_ENDS.includes(letter)) gap = "end";
      else gap = tight.includes(letter) ? "tight" : "loose";
    }
    const symbol = gap === "loose" && /\p{S}/u.test(letter) && !(letter in signs);
    /** @type {[string, boolean][]} */
    const readings = script || symbol ? [[letter, !/\p{N}/u.test(letter)]] : [];
    for (const other of look_alikes[letter] ?? "") readings.push([other, true]);
    for (const other of signs[letter] ?? "") readings.push([other, false]);
    const repeats = readings.map(([other]) => other);
    return {
      letter,
      script,
      mark: /\p{M}/u.test(letter),
      gap,
      readings,
      repeats: repeats.filter((other) => rangeOf(repeatable, other.codePointAt(0))).join(""),
      punctuation: /\p{P}/u.test(letter),
      wildcard: wildcards.includes(letter),
      decoration: rangeOf(decorations, point) !== undefined,
    };
  }
}

/**
 * Puts words of some severities, and those of a user, into tries.
 * @param {any} document
 * @param {string[]} severities
 * @param {string[]} extra
 * @param {string[]} allow
 * @returns {Lexicon}
 */
export function build(document, severities, extra = [], allow = []) {
  const tables = new Tables(document);
  const lexicon = { tables, begin: new Node(), inside: new Node(), allow: new Node() };
  for (const text of [...document.allow, ...allow]) {
    lexicon.allow.add(tables.letters(text), { id: "allow", severity: "none" });
  }
  for (const { language, severity, match, texts } of document.words) {
    if (!severities.includes(severity)) continue;
    const endings = ["", ...(document.endings[match] ?? []).map((text) => tables.letters(text))];
    for (const [i, text] of texts.entries()) {
      // What the word is, is nobody's business: where it stands is enough.
      const entry = { id: `${language}-${severity}-${match}-${i}`, severity };
      add(lexicon, tables.letters(text), match, entry, endings);
    }
  }
  for (const [i, text] of extra.entries()) {
    const letters = tables.letters(text);
    const match = tables.unspaced(letters) ? "inside" : "word";
    add(lexicon, letters, match, { id: `user-${i + 1}`, severity: "user" }, [""]);
  }
  return lexicon;
}

/**
 * @param {Lexicon} lexicon
 * @param {string} letters
 * @param {string} match
 * @param {Entry} entry
 * @param {string[]} endings
 */
function add(lexicon, letters, match, entry, endings) {
  if (match === "inside") lexicon.inside.add(letters, entry, false);
  if (match === "inside" || match === "start") {
    lexicon.begin.add(letters, entry, false);
    lexicon.begin.add(letters, entry); // whole in single letters with spaces between
  } else {
    const stem = lexicon.begin.add(letters, entry);
    for (const ending of endings) stem.add(ending, entry);
  }
}

/**
 * The range that holds a code point.
 * @param {number[][]} ranges
 * @param {number} point
 */
function rangeOf(ranges, point) {
  return ranges.find(([first, last]) => first <= point && point <= last);
}
