import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import { preferredLanguage, STRINGS, Words } from "../../src/foreword/server/static/page/strings.js";

const STATIC = new URL("../../src/foreword/server/static/", import.meta.url);
const PAGE = new URL("page/", STATIC);
const placeholders = (text) => (text.match(/\{\w+\}/g) ?? []).toSorted();

test("every language says the same things", () => {
  for (const [language, strings] of Object.entries(STRINGS)) {
    assert.deepEqual(Object.keys(strings), Object.keys(STRINGS.en), language);
    for (const [key, text] of Object.entries(strings)) {
      assert.ok(text.trim(), `${language}: ${key} is empty`);
      assert.deepEqual(placeholders(text), placeholders(STRINGS.en[key]), `${language}: ${key}`);
    }
  }
});

test("what the page asks for is there, and nothing else is", () => {
  const html = readFileSync(new URL("index.html", STATIC), "utf8");
  const asked = new Set(["language"]);
  for (const [, key] of html.matchAll(/data-say[a-z-]*="(\w+)"/g)) asked.add(key);
  const scripts = readdirSync(PAGE).filter((name) => name !== "strings.js");
  const code = scripts.map((name) => readFileSync(new URL(name, PAGE), "utf8")).join("\n");
  for (const key of asked) assert.ok(key in STRINGS.en, `no string ${key}`);
  const words = new Set(code.match(/\w+/g));
  // refused_${refused} has its two names from the server.
  const built = new Set(["refused_input", "refused_output"]);
  const unused = Object.keys(STRINGS.en).filter(
    (key) => !asked.has(key) && !words.has(key) && !built.has(key),
  );
  assert.deepEqual(unused, []);
});

test("the page's own text is in its strings alone", () => {
  const html = readFileSync(new URL("index.html", STATIC), "utf8");
  const body = html.slice(html.indexOf("<body>")).replace(/<noscript>.*<\/noscript>/, "");
  const text = body.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim();
  assert.equal(text, "Foreword");
});

test("the reader's first known language is taken, else English", () => {
  assert.equal(preferredLanguage(["fr-FR", "ko-KR", "en"]), "ko");
  assert.equal(preferredLanguage(["EN-gb"]), "en");
  assert.equal(preferredLanguage(["constructor", "fr"]), "en");
  assert.equal(preferredLanguage([]), "en");
});

test("values are put in as they are, and a key that is missing is a mistake", () => {
  const words = new Words("en");
  assert.equal(words.say("said_suggestion", { text: "$& {text}" }), "Suggestion: $& {text}");
  assert.throws(() => words.say("no_such_key"));
  assert.equal(words.megabytes(139_600_000), "140 MB");
  assert.equal(new Words("ko").megabytes(139_600_000), "140MB");
});
