import { readFileSync } from "node:fs";

import { loadFilter } from "../../src/foreword/server/static/text/safety.js";

const ROOT = new URL("../../", import.meta.url);

/**
 * What a JSON file of the repository holds.
 * @param {string} path
 */
export function readJson(path) {
  return JSON.parse(readFileSync(new URL(path, ROOT), "utf-8"));
}

/**
 * The filter of a level.
 * @param {"off" | "default" | "strict"} level
 */
export function filterOf(level, extra = [], allow = []) {
  return loadFilter(readJson("src/foreword/completion/lexicon.json"), level, extra, allow);
}

/**
 * How many code points a text has up to a place in code units.
 * @param {string} text
 * @param {number} end
 */
export function pointsTo(text, end) {
  return [...text.slice(0, end)].length;
}
