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
  const size = ids ? ids.length : logits.length;
  const idOf = ids ? (/** @type {number} */ place) => ids[place] : (place) => place;
  let [best, top] = [-1, -Infinity];
  for (let place = 0; place < size; place += 1) {
    const score = logits[idOf(place)];
    if (score > top && !banned?.has(idOf(place))) [best, top] = [place, score];
  }
  if (!Number.isFinite(top)) return [null, 0];
  const total = sumOf(size, (place) => weight(place, 1));
  if (!random) return [idOf(best), -Math.log(total)];
  const left = random() * sumOf(size, (place) => weight(place, temperature));
  let sum = 0;
  for (let place = 0; place < size; place += 1) {
    sum += weight(place, temperature);
    if (sum > left) return [idOf(place), logits[idOf(place)] - top - Math.log(total)];
  }
  return [idOf(best), -Math.log(total)]; // what is left by rounding

  /**
   * @param {number} place
   * @param {number} heat
   */
  function weight(place, heat) {
    const id = idOf(place);
    return banned?.has(id) ? 0 : Math.exp((logits[id] - top) / heat);
  }
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
 * @param {number} size
 * @param {(place: number) => number} at
 */
function sumOf(size, at) {
  let sum = 0;
  for (let place = 0; place < size; place += 1) sum += at(place);
  return sum;
}
