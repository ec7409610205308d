/** What a model says of the next token, remembered for the prompts asked for last. */
export class Scores {
  #model;
  #kept;
  /** @type {Map<string, Float32Array>} The least recently used first. */
  #known = new Map();

  /**
   * @param {import("./tokenizer.js").TokenModel} model
   * @param {number} kept  How many prompts are remembered.
   */
  constructor(model, kept = 32) {
    this.#model = model;
    this.#kept = kept;
  }

  /**
   * Returns the logits after a prompt, not to be changed; rejects with an AbortError.
   * @param {number[]} tokenIds
   * @param {AbortSignal} [signal]
   */
  async after(tokenIds, signal) {
    const key = tokenIds.join();
    let logits = this.#known.get(key);
    if (!logits) {
      signal?.throwIfAborted();
      logits = (await this.#model.logits(tokenIds, signal)).slice();
    }
    this.#known.delete(key);
    this.#known.set(key, logits);
    if (this.#known.size > this.#kept) this.#known.delete(this.#known.keys().next().value);
    return logits;
  }
}
