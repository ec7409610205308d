/** A loaded bundle: from token ids to the scores of what follows, as engine/engine.py does it. */

import { DeviceError } from "./errors.js";
import { plan, Prefix } from "./plan.js";

/** One cache, one text: what a prompt shares with the one before is not computed again. */
export class Engine {
  /** Tokens computed by all calls so far. */
  computedTokens = 0;

  #graph;
  #prefix = new Prefix();
  #start;
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();
  #vocabulary;

  /**
   * @param {{context: number, width: number | null, run: Function, clear: Function}} graph
   * @param {{shape: {vocabulary: number}, special_tokens: object}} description
   * @param {object} tokenizer
   */
  constructor(graph, description, tokenizer) {
    const special = description.special_tokens;
    this.context = graph.context;
    this.firstToken = special.prepend_start ? special.start : null;
    this.endTokens = special.end;
    this.tokenizer = tokenizer;
    this.#graph = graph;
    this.#start = special.start;
    this.#vocabulary = description.shape.vocabulary;
  }

  /**
   * Returns the scores of what follows a prompt, [V], the caller's to keep.
   *
   * Rejects with an AbortError when called off, at most one run late, and with a DeviceError for
   * a prompt that the model cannot take or an output that is not finite.
   * @param {number[]} ids
   * @param {AbortSignal} [signal]
   * @returns {Promise<Float32Array>}
   */
  logits(ids, signal) {
    // Two at once would write to one cache: each waits for the one before to end.
    const result = this.#turn.then(() => this.#compute(this.#checked(ids), signal));
    this.#turn = result.catch(() => {});
    return result;
  }

  #checked(ids) {
    if (ids.length === 0) {
      if (this.#start === null) throw new DeviceError("prompt", "the prompt is empty");
      return [this.#start];
    }
    if (ids.length > this.context) {
      const found = `the prompt has ${ids.length} tokens, the context holds ${this.context}`;
      throw new DeviceError("prompt", found);
    }
    const strange = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < this.#vocabulary));
    if (strange !== undefined) {
      throw new DeviceError("prompt", `token ${strange} is not in the vocabulary`);
    }
    return ids;
  }

  async #compute(ids, signal) {
    signal?.throwIfAborted();
    const reused = this.#prefix.reuse(ids);
    let logits = null;
    for (const run of plan(ids.length - reused, this.#graph.width)) {
      await letMessagesIn();
      signal?.throwIfAborted();
      const position = this.#prefix.tokens.length;
      const chunk = ids.slice(position, position + run.count);
      logits = await this.#graph.run(run.signature, chunk, position);
      this.#prefix.tokens.push(...chunk);
      this.computedTokens += run.count;
    }
    if (!isFinite(largest(logits))) {
      this.#prefix.rewind(0);
      this.#graph.clear();
      throw new DeviceError("weights", "the model's output is not a finite number");
    }
    return logits;
  }
}

/** The largest of some numbers, NaN when one of them is. @param {Float32Array} values */
function largest(values) {
  let most = -Infinity;
  for (const value of values) {
    if (value !== value) return NaN;
    if (value > most) most = value;
  }
  return most;
}

/**
 * Lets a message that waits for this thread be handled, one that calls off among them: awaiting
 * what is done already would not.
 */
function letMessagesIn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
