import assert from "node:assert/strict";
import test from "node:test";

import { Completer } from "../../src/foreword/server/static/text/completer.js";
import { Session } from "../../src/foreword/server/static/text/session.js";
import { FixedModel, FixedTokenizer } from "./fixed_model.mjs";
import { filterOf, readJson } from "./golden.mjs";

const golden = readJson("testdata/golden/suggest.json");
const tokenizer = new FixedTokenizer(golden.tokens);
const filters = Object.fromEntries(["off", "default"].map((level) => [level, filterOf(level)]));

function completerOf({ model, safety = "default" }) {
  return new Completer(new FixedModel(tokenizer, golden.models[model]), filters[safety]);
}

/** Fails where an answer is another, but for rounding in its numbers. */
function assertClose(found, wanted, text) {
  const { latency_ms: _, ...rest } = found;
  const [a, b] = [numbersOf(rest), numbersOf(wanted)];
  assert.deepEqual(a.shape, b.shape, text);
  for (const [i, number] of a.numbers.entries()) {
    const room = 2e-4 + Math.abs(b.numbers[i]) * 1e-4;
    assert.ok(Math.abs(number - b.numbers[i]) <= room, `${text}: ${number}, ${b.numbers[i]}`);
  }
}

function numbersOf(value) {
  const numbers = [];
  const shape = JSON.parse(JSON.stringify(value), (key, inner) => {
    const chance = ["confidence", "logprob"].includes(key);
    if (key === "by_part") return numbers.push(...inner) && inner.length;
    return chance && typeof inner === "number" ? numbers.push(inner) : inner;
  });
  return { numbers, shape };
}

test("suggestions are the committed ones", async () => {
  for (const { text, policy, suffix = "", stream, told, ...rest } of golden.cases) {
    const words = [];
    const onWords = stream ? (word) => words.push(word) : undefined;
    const asked = { ...policy, suffix };
    const found = await completerOf(rest).suggest(text, asked, undefined, onWords);
    assertClose(found, rest.answer, `${rest.model}: ${text}|${suffix}`);
    if (stream) assert.deepEqual(words, told, text);
  }
});

test("sessions are the committed ones", async () => {
  for (const { steps, answers, policy, ...rest } of golden.sessions) {
    const session = new Session(completerOf(rest), policy);
    for (const [i, { do: what, text, suffix }] of steps.entries()) {
      const done = {
        suggest: () => session.suggest(text, undefined, undefined, suffix),
        next: () => session.next(text, undefined, suffix),
        prefetch: () => session.prefetch(text, undefined, suffix),
        dismiss: () => session.dismiss(),
        accept: () => session.accept(text),
        accept_word: () => session.accept(text, "word"),
      }[what]();
      const found = (await done) ?? null;
      if (found?.items) assertClose(found, answers[i], `${what} ${text}`);
      else assert.equal(found, answers[i]);
    }
  }
});

test("what is called off is not answered, nor remembered", async () => {
  const session = new Session(completerOf({ model: "cats" }), { confidence: 0 });
  const off = AbortSignal.abort();
  await assert.rejects(session.suggest("the cat", off), { name: "AbortError" });
  assert.equal((await session.suggest("the cat")).items[0].text, " sat on the mat.");
  const superseded = { suggest: async () => ({ items: [], superseded: true }) };
  assert.equal((await new Session(superseded).suggest("the cat")).superseded, true);
});

test("a call is called off between two tokens", async () => {
  const model = new FixedModel(tokenizer, golden.models.cats);
  const controller = new AbortController();
  const { logits } = model;
  model.logits = (ids, signal) => {
    if (model.computedTokens === 2) controller.abort();
    return logits.call(model, ids, signal);
  };
  const asked = new Completer(model, filters.default).suggest(
    "the cat",
    { confidence: 0 },
    controller.signal,
  );
  await assert.rejects(asked, { name: "AbortError" });
  assert.equal(model.computedTokens, 2);
});

test("with a temperature tokens are drawn by the seed", async () => {
  const text = async (policy) => {
    const asked = { confidence: 0, ...policy };
    const { items } = await completerOf({ model: "cats" }).suggest("the cat sa", asked);
    return items[0]?.text;
  };
  const seeds = [...Array(12).keys()];
  const drawn = await Promise.all(seeds.map((seed) => text({ temperature: 1, seed })));
  assert.ok(new Set(drawn).size > 1);
  assert.equal(await text({ temperature: 1, seed: 3 }), drawn[3]);
  assert.equal(await text({ temperature: 1e-9, seed: 3 }), await text({}));
});

test("a policy has bounds, and what is no text does no harm", async () => {
  const completer = completerOf({ model: "cats" });
  for (const policy of [{ max_words: 0 }, { confidence: NaN }, { context_tokens: 65 }]) {
    await assert.rejects(completer.suggest("the cat", policy), RangeError);
  }
  const odd = await completer.suggest("\ud83d the cat", { confidence: 0 });
  assert.equal(odd.items[0].text, " sat on the mat.");
});
