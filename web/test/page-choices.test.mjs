import assert from "node:assert/strict";
import test from "node:test";

import { actionOf } from "../../src/foreword/server/static/page/keys.js";
import {
  DEFAULTS,
  policyOf,
  read,
} from "../../src/foreword/server/static/page/preferences.js";
import { statusOf } from "../../src/foreword/server/static/page/status.js";
import { Words } from "../../src/foreword/server/static/page/strings.js";

test("what is stored is taken where it is valid, name by name", () => {
  assert.deepEqual(read(null), DEFAULTS);
  for (const json of ["", "{", "null", "7", '"x"', "[]", '{"__proto__": {"place": "moon"}}']) {
    assert.deepEqual(read(json), DEFAULTS, json);
  }
  const stored = { place: "device", max_words: 21, context_words: 50, temperature: "1", extra: 1 };
  const found = read(JSON.stringify(stored));
  assert.deepEqual(found, { ...DEFAULTS, place: "device", context_words: 50 });
});

test("a window is asked for in the unit that was chosen", () => {
  const tokens = policyOf({ ...DEFAULTS, context_tokens: 64 });
  assert.deepEqual([tokens.context_tokens, tokens.context_words], [64, null]);
  const words = policyOf({ ...DEFAULTS, context_tokens: 64, unit: "words" });
  assert.deepEqual([words.context_tokens, words.context_words], [null, 25]);
});

const key = (name, held = {}) => ({ key: name, code: name, ...held });
const ALT = { altKey: true };
const CTRL = { ctrlKey: true };

test("keys that act are the platform's, and no others", () => {
  assert.equal(actionOf(key("Tab"), false), "accept");
  assert.equal(actionOf(key("Escape"), false), "dismiss");
  assert.equal(actionOf(key("ArrowRight", CTRL), false), "word");
  assert.equal(actionOf(key("ArrowRight", ALT), true), "word");
  assert.equal(actionOf({ key: "‘", code: "BracketRight", ...ALT }, true), "next");
  for (const other of [
    key("Tab", { shiftKey: true }),
    key("Tab", CTRL),
    key("ArrowRight"),
    key("ArrowRight", ALT), // "forward", in a browser
    key("ArrowRight", { ...CTRL, shiftKey: true }), // selects a word
    { key: "]", code: "BracketRight" },
    { key: "]", code: "BracketRight", ...ALT, getModifierState: () => true }, // AltGr
    key("a"),
  ]) {
    assert.equal(actionOf(other, false), null, JSON.stringify(other));
  }
  assert.equal(actionOf(key("ArrowRight", CTRL), true), null);
});

test("an input method's keys are its own", () => {
  assert.equal(actionOf(key("Tab", { isComposing: true })), null);
  assert.equal(actionOf(key("Escape", { keyCode: 229 })), null);
});

test("the line below the text says what is known of an answer", () => {
  const words = new Words("en");
  const item = { text: " x", confidence: 0.614 };
  const answer = { items: [item], refused: null, latency_ms: 13.2 };
  const say = (changed, more = {}) =>
    statusOf({ answer: { ...answer, ...changed }, problem: null, only: false, ...more }, words);
  assert.deepEqual(say({}), { text: "61% sure · 13 ms", share: 0.614 });
  assert.equal(say({ items: [] }).text, "not sure enough to suggest · 13 ms");
  assert.equal(say({ latency_ms: 0.1 }, { only: true }).text, "no other suggestion · 1 ms");
  assert.equal(say({ items: [{ text: " x", confidence: null }] }).text, "13 ms");
  assert.deepEqual(say({ refused: "input", items: [] }), { text: "", share: null });
  const none = { answer: null, problem: null, only: false };
  assert.equal(statusOf({ ...none, asking: true }, words), null);
  assert.deepEqual(statusOf({ ...none, asking: false }, words), { text: "", share: null });
});
