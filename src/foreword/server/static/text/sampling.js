/** From logits to a token: the likeliest, or one that is drawn. */

/**
 * Returns a token of those allowed and the logarithm of its probability among them, null where
 * there is none; above a `temperature` of 0 it is drawn with `random`.
 * @param {Float32Array} logits
 * @param {number[] | null} ids  Tokens allowed, all where it is null.
 * @param {Set<number> | undefined} banned
 * @param {number} temperature
 * @param {(() => number) | null} random
 * @returns {[number | null, number]}
 */
export function choose(logits, ids, banned, temperature, random) {
  let scores = ids ? Float32Array.from(ids, (id) => logits[id]) : logits;
  if (banned?.size) scores = scores.slice();
  for (const id of banned ?? []) {
    const place = ids ? ids.indexOf(id) : id;
    if (place >= 0) scores[place] = -Infinity;
  }
  let best = 0;
  for (let place = 1; place < scores.length; place += 1) {
    if (scores[place] > scores[best]) best = place;
  }
  const top = scores[best] ?? -Infinity;
  if (!Number.isFinite(top)) return [null, 0];
  const total = Math.log(sumOfExp(scores, top, 1));
  const place = random ? draw(scores, top, temperature, random) : best;
  return [ids ? ids[place] : place, scores[place] - top - total];
}

/**
 * Returns numbers from 0 on and below 1 that are the same for the same seed (Mulberry32 by Tommy
 * Ettinger), and others every time without one.
 * @param {number | null} seed
 * @returns {() => number}
 */
export function randomFrom(seed) {
  if (seed === null) return Math.random;
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Returns a place by the chances of a softmax.
 * @param {Float32Array} scores
 * @param {number} top
 * @param {number} temperature
 * @param {() => number} random
 */
function draw(scores, top, temperature, random) {
  let left = random() * sumOfExp(scores, top, temperature);
  let last = 0; // what rounding leaves goes to the last that has a chance
  for (let place = 0; left >= 0 && place < scores.length; place += 1) {
    const weight = Math.exp((scores[place] - top) / temperature);
    left -= weight;
    if (weight > 0) last = place;
  }
  return last;
}

/**
 * @param {Float32Array} scores
 * @param {number} top
 * @param {number} temperature
 */
function sumOfExp(scores, top, temperature) {
  let sum = 0;
  for (const score of scores) sum += Math.exp((score - top) / temperature);
  return sum;
}
