/** The model of tests/fixed_model.py, which says what its tokens and scores are. */

const CONTROL = 0;

/** The longest token first. */
export class FixedTokenizer {
  #pieces;
  #ids;
  #longest;

  /** @param {string[]} tokens  In hexadecimal digits. */
  constructor(tokens) {
    const bytes = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]));
    const longer = tokens.map((token) => Buffer.from(token, "hex"));
    this.#pieces = [Buffer.from([]), ...bytes, ...longer];
    this.vocabularySize = this.#pieces.length;
    this.#ids = new Map(this.#pieces.map((piece, id) => [piece.toString("latin1"), id]));
    this.#longest = Math.max(...this.#pieces.map((piece) => piece.length));
  }

  /** @param {string} text */
  encode(text) {
    const ids = [];
    for (let raw = Buffer.from(text).toString("latin1"); raw;) {
      ids.push(this.nextOf(raw));
      raw = raw.slice(this.#pieces[ids.at(-1)].length);
    }
    return ids;
  }

  /** @param {string} raw */
  nextOf(raw) {
    let size = this.#longest;
    while (!this.#ids.has(raw.slice(0, size))) size -= 1;
    return this.#ids.get(raw.slice(0, size));
  }

  /** @param {number} id */
  tokenBytes(id) {
    return this.#pieces[id];
  }
}

/** Scores that any language computes to the last bit. */
export class FixedModel {
  endTokens = [CONTROL];
  computedTokens = 0;
  #book;

  constructor(tokenizer, { book, context, first_token: firstToken }) {
    Object.assign(this, { tokenizer, context, firstToken });
    this.#book = book.map(([sentence, weight]) => [bytes(Buffer.from(sentence)), weight]);
  }

  async logits(ids, signal) {
    signal?.throwIfAborted();
    this.computedTokens += 1;
    const [before, last] = [0, 0, ...ids].slice(-2);
    const scores = new Float32Array(this.tokenizer.vocabularySize);
    scores.forEach((_, v) => (scores[v] = -(12 + ((31 * last + 17 * before + 7 * v) % 8) / 8)));
    const seen = ids.map((id) => bytes(this.tokenizer.tokenBytes(id))).join("");
    for (const [sentence, weight] of this.#book) {
      let size = sentence.length;
      while (size > 0 && !seen.endsWith(sentence.slice(0, size))) size -= 1;
      if (size === 0) continue;
      const rest = sentence.slice(size);
      const id = rest ? this.tokenizer.nextOf(rest) : CONTROL;
      scores[id] = Math.max(scores[id], weight + size / 4);
    }
    return scores;
  }
}

/** @param {Buffer} buffer */
function bytes(buffer) {
  return buffer.toString("latin1");
}
