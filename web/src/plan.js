/**
 * What the cache holds, and how a prompt is cut into runs: bookkeeping without tensors, as
 * engine/prefix.py does it.
 */

// Reading the weights costs a run about as much as the arithmetic of this many tokens. Less than
// in Python: arithmetic is slower here, memory is not.
const RUN_COST = 4;

/** The tokens whose keys and values are in the cache, slot by slot. */
export class Prefix {
  /** @type {number[]} */
  tokens = [];

  /**
   * Rewinds to the longest prefix shared with a prompt, and returns its length. At least one
   * token of the prompt is left to compute: its logits are needed.
   * @param {number[]} prompt
   */
  reuse(prompt) {
    const most = Math.min(this.tokens.length, prompt.length - 1);
    let shared = 0;
    while (shared < most && this.tokens[shared] === prompt[shared]) shared += 1;
    this.rewind(shared);
    return shared;
  }

  /** Forgets everything from slot `length` on. @param {number} length */
  rewind(length) {
    this.tokens.length = length;
  }
}

/**
 * Cuts the last `count` >= 1 tokens of a prompt into runs: chunks of one width, all full but the
 * last, then single tokens. The last run is `decode`, which gives logits.
 * @param {number} count
 * @param {number | null} width of the prefill signature, null where there is none
 * @returns {{signature: string, count: number}[]}
 */
export function plan(count, width) {
  const runs = [];
  let rest = count - 1;
  // A chunk costs what it is wide, full or not: few tokens are decoded one by one.
  while (width !== null && Math.min(rest, width) * (1 + RUN_COST) > width + RUN_COST) {
    const taken = Math.min(rest, width);
    runs.push({ signature: `prefill_${width}`, count: taken });
    rest -= taken;
  }
  for (rest += 1; rest > 0; rest -= 1) runs.push({ signature: "decode", count: 1 });
  return runs;
}
